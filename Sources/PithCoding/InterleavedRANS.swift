import PithCore

/// rANS for blocks of bytes: several states take turns and share one stream of 16-bit words, so that a decoder works
/// on all of them at the same time.
///
/// A block has the states (4 bytes each, little-endian), then the words in the order in which they are read. Symbol i
/// belongs to state i mod `lanes`. States lie in [2¹⁶, 2³²); every state ends at 2¹⁶, which tells damage.
public struct InterleavedRANS: Sendable {
    /// The frequencies.
    public let table: FrequencyTable
    /// How many states take turns.
    public let lanes: Int
    // By slot: frequency, place behind the symbol's start (16 bits each), symbol.
    private let slots: [UInt64]
    // By symbol.
    private let divisors: [Divisor]

    /// What encoding a symbol needs.
    private struct Divisor {
        /// From this state on a word goes out first.
        var limit: UInt64 = 0
        /// ⌈2^(32 + bits) / frequency⌉, by which the state is divided.
        var reciprocal: UInt64 = 0
        var frequency: UInt32 = 0
        var start: UInt32 = 0
    }

    /// The permitted numbers of states.
    public static let laneRange = 1...32
    private static let lowest: UInt32 = 1 << 16

    /// Prepares to code with a table.
    public init(_ table: FrequencyTable, lanes: Int = 8) {
        precondition(Self.laneRange.contains(lanes), "\(lanes) states")
        (self.table, self.lanes) = (table, lanes)
        var slots: [UInt64] = []
        slots.reserveCapacity(1 << table.bits)
        for (symbol, frequency) in table.frequencies.enumerated() {
            for place in 0..<UInt64(frequency) { slots.append(UInt64(frequency) | place << 16 | UInt64(symbol) << 32) }
        }
        self.slots = slots
        divisors = zip(table.frequencies, table.starts).map { frequency, start in
            guard frequency > 0 else { return Divisor() }
            let wide = UInt64(frequency)
            return Divisor(
                limit: wide << UInt64(32 - table.bits), reciprocal: (1 << UInt64(32 + table.bits) + wide - 1) / wide,
                frequency: frequency, start: start)
        }
    }

    /// Codes a block; every symbol must have a frequency.
    public func encode(_ symbols: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        // At most one word for each symbol: the words are made from the last to the first.
        let capacity = 4 * lanes + 2 * symbols.count + 2
        let (bits, lanes) = (UInt64(table.bits), lanes)
        return withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer in
            var front = buffer.baseAddress! + capacity
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: lanes) { states in
                states.initialize(repeating: Self.lowest)
                divisors.withUnsafeBufferPointer { divisors in
                    let (states, divisors) = (states.baseAddress!, divisors.baseAddress!)
                    var lane = symbols.count % lanes
                    for symbol in symbols.reversed() {
                        lane = (lane == 0 ? lanes : lane) &- 1
                        let divisor = divisors[Int(symbol)]
                        assert(divisor.frequency > 0, "symbol \(symbol) has no frequency")
                        var state = UInt64(states[lane])
                        // Without a branch: the word is written, and kept where the state was too large.
                        (front - 2).storeBytes(of: UInt16(truncatingIfNeeded: state).littleEndian, as: UInt16.self)
                        let isHigh: UInt64 = state >= divisor.limit ? 1 : 0
                        front -= Int(isHigh &<< 1)
                        state &>>= isHigh &<< 4
                        let quotient = (state &* divisor.reciprocal) &>> (32 &+ bits)
                        let rest = state &- quotient &* UInt64(divisor.frequency)
                        states[lane] = UInt32(truncatingIfNeeded: quotient &<< bits &+ rest &+ UInt64(divisor.start))
                    }
                }
                for lane in (0..<lanes).reversed() {
                    front -= 4
                    front.storeBytes(of: states[lane].littleEndian, as: UInt32.self)
                }
            }
            return Array(UnsafeRawBufferPointer(start: front, count: buffer.baseAddress! + capacity - front))
        }
    }

    /// Codes a block; every symbol must have a frequency.
    public func encode(_ symbols: [UInt8]) -> [UInt8] { symbols.withUnsafeBufferPointer { encode($0) } }

    /// Decodes a block of `count` symbols into `target`; throws unless the block ends as it was begun.
    public func decode(
        _ block: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        let lanes = lanes
        guard block.count >= 4 * lanes, (block.count - 4 * lanes) % 2 == 0 else { throw .truncated(at: block.count) }
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 32) { (states) throws(PithError) in
            for lane in 0..<lanes {
                states[lane] = UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 4 * lane, as: UInt32.self))
            }
            var offset = 4 * lanes
            var done = decodeRounds(block, count, target, states.baseAddress!, &offset)
            while done < count {
                let (symbol, state) = step(states[done % lanes])
                target[done] = symbol
                states[done % lanes] = state
                if state < Self.lowest {
                    guard offset + 2 <= block.count else { throw .truncated(at: offset) }
                    let word = UInt16(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                    states[done % lanes] = state << 16 | UInt32(word)
                    offset += 2
                }
                done += 1
            }
            guard offset == block.count, states[..<lanes].allSatisfy({ $0 == Self.lowest }) else {
                throw .invalidStream("the states do not end where they were begun")
            }
        }
    }

    @inline(__always)
    private func step(_ state: UInt32) -> (symbol: UInt8, state: UInt32) {
        let slot = slots[Int(state & (1 << UInt32(table.bits) - 1))]
        let (frequency, place) = (UInt32(slot & 0xFFFF), UInt32(truncatingIfNeeded: slot >> 16) & 0xFFFF)
        return (UInt8(truncatingIfNeeded: slot >> 32), frequency &* (state >> UInt32(table.bits)) &+ place)
    }

    /// Whole rounds of all states, without looking for the end of the words inside a round. Returns the symbols done.
    private func decodeRounds(
        _ block: UnsafeRawBufferPointer, _ count: Int, _ target: UnsafeMutablePointer<UInt8>,
        _ states: UnsafeMutablePointer<UInt32>, _ offset: inout Int
    ) -> Int {
        let (lanes, bits, base) = (lanes, UInt32(table.bits), block.baseAddress!)
        let (mask, lastStart) = ((UInt32(1) << bits) - 1, block.count - 2 * lanes)
        var (done, next) = (0, offset)
        slots.withUnsafeBufferPointer { slots in
            let slots = slots.baseAddress!
            @inline(__always) func turn(_ state: inout UInt32, _ symbol: UnsafeMutablePointer<UInt8>) {
                let slot = slots[Int(state & mask)]
                symbol.pointee = UInt8(truncatingIfNeeded: slot &>> 32)
                state =
                    UInt32(truncatingIfNeeded: slot) & 0xFFFF &* (state &>> bits)
                    &+ UInt32(truncatingIfNeeded: slot &>> 16) & 0xFFFF
                // Without a branch, which could not be foreseen.
                let word = UInt32(UInt16(littleEndian: (base + next).loadUnaligned(as: UInt16.self)))
                let isLow: UInt32 = state < Self.lowest ? 1 : 0
                state = state &<< (isLow &<< 4) | word & (0 &- isLow)
                next &+= Int(isLow &<< 1)
            }
            while count - done >= lanes && next <= lastStart {
                var (lane, symbols) = (0, target + done)
                while lane + 4 <= lanes {
                    var (a, b, c, d) = (states[lane], states[lane + 1], states[lane + 2], states[lane + 3])
                    turn(&a, symbols)
                    turn(&b, symbols + 1)
                    turn(&c, symbols + 2)
                    turn(&d, symbols + 3)
                    (states[lane], states[lane + 1], states[lane + 2], states[lane + 3]) = (a, b, c, d)
                    (lane, symbols) = (lane + 4, symbols + 4)
                }
                while lane < lanes {
                    turn(&states[lane], symbols)
                    (lane, symbols) = (lane + 1, symbols + 1)
                }
                done &+= lanes
            }
        }
        offset = next
        return done
    }
}
