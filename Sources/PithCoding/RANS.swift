import PithCore

/// rANS with a share of its own for each symbol, as a model gives it; the state moves by bytes and lies in [2²³, 2³¹).
///
/// A decoder meets the symbols in the order of `encode`; the encoder works backwards once all are known.
public struct RANSEncoder: Sendable {
    private struct Step {
        var start: UInt32
        var frequency: UInt32
        var bits: UInt32
    }
    private var steps: [Step] = []

    /// Totals are powers of two up to 2^this.
    public static let largestTotalBits: UInt32 = 16
    fileprivate static let lowest: UInt32 = 1 << 23

    /// Begins an empty stream.
    public init() {}

    /// Codes a symbol that has `frequency` of 2^`totalBits`, at most 2¹⁶, behind `start`.
    public mutating func encode(start: UInt32, frequency: UInt32, totalBits: UInt32) {
        assert(
            frequency > 0 && totalBits <= Self.largestTotalBits && start + frequency <= 1 << totalBits,
            "\(start), \(frequency) of 2^\(totalBits)")
        steps.append(Step(start: start, frequency: frequency, bits: totalBits))
    }

    /// The whole stream: four bytes of state, then those that it takes in.
    public consuming func finish() -> [UInt8] {
        var (state, reversed) = (Self.lowest, [UInt8]())
        for step in steps.reversed() {
            let limit = UInt64(step.frequency) << UInt64(31 - step.bits)
            while UInt64(state) >= limit {
                reversed.append(UInt8(truncatingIfNeeded: state))
                state >>= 8
            }
            state = (state / step.frequency) << step.bits + state % step.frequency + step.start
        }
        for shift in stride(from: 24, through: 0, by: -8) { reversed.append(UInt8(truncatingIfNeeded: state >> shift)) }
        return reversed.reversed()
    }
}

/// Reads what `RANSEncoder` wrote.
public struct RANSDecoder: Sendable {
    private let region: ByteRegion
    private var offset = 4
    private var state: UInt32

    /// Opens a stream.
    public init(_ region: ByteRegion) throws(PithError) {
        guard region.count >= 4 else { throw .truncated(at: region.count) }
        state = UInt32(littleEndian: region.bytes.loadUnaligned(as: UInt32.self))
        guard (RANSEncoder.lowest..<1 << 31).contains(state) else {
            throw .invalidStream("the stream begins with no state")
        }
        self.region = region
    }

    /// Opens a stream.
    public init(_ bytes: [UInt8]) throws(PithError) { try self.init(ByteRegion(copying: bytes)) }

    /// A number below 2^`totalBits`: the next symbol is the one whose share holds it.
    @inline(__always)
    public func slot(totalBits: UInt32) -> UInt32 { state & (1 << totalBits - 1) }

    /// Takes the symbol that has `frequency` of 2^`totalBits` behind `start`, which must hold the slot.
    @inline(__always)
    public mutating func advance(start: UInt32, frequency: UInt32, totalBits: UInt32) throws(PithError) {
        let place = slot(totalBits: totalBits) &- start
        guard place < frequency else { throw .invalidStream("a symbol was taken whose share does not hold the slot") }
        state = frequency &* (state >> totalBits) &+ place
        while state < RANSEncoder.lowest {
            guard offset < region.count else { throw .truncated(at: offset) }
            state = state << 8 | UInt32(region.bytes[offset])
            offset += 1
        }
    }

    /// Throws unless the stream ends here, as its encoder began it.
    public func finish() throws(PithError) {
        guard offset == region.count, state == RANSEncoder.lowest else {
            throw .invalidStream("the stream does not end behind its last symbol")
        }
    }
}
