import PithCore

/// A model's logits as shares of a power of two, in whole numbers: the same on every machine for the same logits.
///
/// Every symbol has a share of at least 1. Against the exact softmax this costs at most about
/// log2(1 + symbols / (total − symbols)) bits for each symbol coded.
public struct CumulativeTable: Sendable {
    /// The total is 2^`totalBits`.
    public let totalBits: UInt32
    // Where the share of each symbol begins, and the total behind them.
    private let starts: [UInt32]

    /// The permitted `totalBits`; the total must be at least twice the number of symbols.
    public static let totalBitsRange: ClosedRange<UInt32> = 8...24

    /// Quantises the softmax of `logits`; those that are not finite are refused.
    public init(logits: UnsafeBufferPointer<Float>, totalBits: UInt32 = 24) throws(PithError) {
        precondition(Self.totalBitsRange.contains(totalBits), "a total of 2^\(totalBits)")
        guard !logits.isEmpty, logits.count * 2 <= 1 << Int(totalBits) else {
            throw .usage("\(logits.count) symbols find no room in shares of 2^\(totalBits)")
        }
        // Multiplication by a power of two is exact, so that the only rounding is that to a whole number.
        var (fixed, largest) = ([Int](), Int.min)
        fixed.reserveCapacity(logits.count)
        for logit in logits {
            guard logit.isFinite else { throw .data("a logit is \(logit)", remedy: "predictions must be finite") }
            let value = Int((min(max(logit, -32768), 32768) * 65536).rounded(.toNearestOrEven))
            fixed.append(value)
            largest = max(largest, value)
        }
        // log2 e with 30 bits behind the point.
        let weights = fixed.map { FixedPoint.powerOfTwo((($0 - largest) * 1_549_082_005) >> 30) }
        starts = Self.shares(weights, total: 1 << UInt64(totalBits))
        self.totalBits = totalBits
    }

    /// One for each symbol, then the rest by weight, and what rounding leaves to the heaviest.
    private static func shares(_ weights: [UInt64], total: UInt64) -> [UInt32] {
        let (sum, free) = (weights.reduce(0, +), total - UInt64(weights.count))
        // A quotient with 64 bits behind the point: one division instead of one for each symbol.
        let factor = (UInt128(free) << 64) / UInt128(sum)
        var (starts, start, heaviest) = ([UInt32](), UInt64(0), 0)
        starts.reserveCapacity(weights.count + 1)
        for (symbol, weight) in weights.enumerated() {
            starts.append(UInt32(truncatingIfNeeded: start))
            start += 1 + UInt64(truncatingIfNeeded: (UInt128(weight) * factor) >> 64)
            if weight > weights[heaviest] { heaviest = symbol }
        }
        let rest = UInt32(truncatingIfNeeded: total - start)
        for symbol in starts.indices where symbol > heaviest { starts[symbol] += rest }
        return starts + [UInt32(truncatingIfNeeded: total)]
    }

    /// The number of symbols.
    public var symbolCount: Int { starts.count - 1 }

    /// Where the share of a symbol begins, and its size.
    @inline(__always)
    public func share(of symbol: Int) -> (start: UInt32, frequency: UInt32) {
        (starts[symbol], starts[symbol + 1] - starts[symbol])
    }

    /// The symbol whose share holds `slot`, which is below the total.
    public func symbol(at slot: UInt32) -> Int {
        var (low, high) = (0, symbolCount)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= slot { low = middle } else { high = middle }
        }
        return low
    }

    /// Codes a symbol.
    public func encode(_ symbol: Int, to encoder: inout RangeEncoder) {
        let share = share(of: symbol)
        encoder.encode(start: share.start, frequency: share.frequency, totalBits: totalBits)
    }

    /// Decodes a symbol.
    public func decode(from decoder: inout RangeDecoder) throws(PithError) -> Int {
        let symbol = symbol(at: decoder.slot(totalBits: totalBits))
        let share = share(of: symbol)
        try decoder.advance(start: share.start, frequency: share.frequency, totalBits: totalBits)
        return symbol
    }
}
