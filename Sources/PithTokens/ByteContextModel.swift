import PithCore

/// Predicts the next byte from the up to `order` bytes before it, by counts that were learnt once and stay as they are.
///
/// Contexts are blended from the shortest to the longest by absolute discounting: each follower of a context gives up
/// three quarters of a count, and what all give up goes to the prediction of the next shorter context; below order 0
/// all bytes are equally likely. Everything is whole numbers: the shares are the same on every machine.
public struct ByteContextModel: Sendable, Equatable {
    /// The permitted orders.
    public static let orders = 0...6
    /// Shares of all bytes add up to at most 2^`totalBits`.
    public static let totalBits: UInt32 = 24
    /// The largest number of bytes to learn from, so that sums of counts find room.
    public static let largestText = 1 << 28

    /// The longest context in bytes.
    public let order: Int
    // A trie of all strings of up to `order` + 1 bytes that were seen often enough, level by level; the children of a
    // node lie together, in the order of their bytes. Node 0 is the empty string.
    let bytes: [UInt8]
    let counts: [UInt32]
    /// Where the children of each node of up to `order` bytes begin; the last entry is the number of nodes.
    let firstChild: [UInt32]
    /// Four times the counts of the children, less the discounts.
    private let keptQuarters: [UInt32]

    init(order: Int, bytes: [UInt8], counts: [UInt32], firstChild: [UInt32]) {
        (self.order, self.bytes, self.counts, self.firstChild) = (order, bytes, counts, firstChild)
        keptQuarters = firstChild.indices.dropLast().map { node in
            (firstChild[node]..<firstChild[node + 1]).reduce(0) { $0 + Self.quarters(counts[Int($1)]) }
        }
    }

    /// The number of contexts and followers that are kept.
    public var nodeCount: Int { counts.count }

    /// What stands before the next byte: for each length up to the order the node of the last bytes, if it was seen.
    public struct Context: Sendable {
        fileprivate var nodes = SIMD8<UInt32>(repeating: noNode)
        /// Nothing stands before it.
        public init() { nodes[0] = 0 }
    }

    private static let noNode = UInt32.max

    /// What a follower that was seen so often keeps, in quarters of a count.
    @inline(__always)
    private static func quarters(_ count: UInt32) -> UInt32 { count == 0 ? 0 : 4 &* count &- 3 }

    @inline(__always)
    private func child(_ node: UInt32, _ byte: UInt8) -> UInt32? {
        var (low, high) = (firstChild[Int(node)], firstChild[Int(node) + 1])
        while low < high {
            let middle = (low + high) / 2
            if bytes[Int(middle)] < byte { low = middle + 1 } else { high = middle }
        }
        return low < firstChild[Int(node) + 1] && bytes[Int(low)] == byte ? low : nil
    }

    /// Puts a byte behind a context.
    public func advance(_ context: inout Context, by byte: UInt8) {
        var next = Context()
        for length in 0..<order where context.nodes[length] != Self.noNode {
            if let node = child(context.nodes[length], byte) { next.nodes[length + 1] = node }
        }
        context = next
    }

    /// The share of each byte of 2²⁴, at least 1, into `shares`, which has 256 elements.
    ///
    /// With `seen`, the byte that did follow, one occurrence of it in this context is not counted: so a text is
    /// predicted that the counts were learnt from.
    public func predict(_ context: Context, leavingOut seen: UInt8? = nil, into shares: inout [UInt32]) {
        precondition(shares.count == 256, "256 shares are needed")
        let whole = UInt64(1) << UInt64(Self.totalBits) - 256
        shares.withUnsafeMutableBufferPointer { shares in
            shares.update(repeating: UInt32(whole / 256))
            for length in 0...order where context.nodes[length] != Self.noNode {
                let node = context.nodes[length]
                let without = seen.flatMap { child(node, $0) }
                guard let blend = Blend(self, node, without: without, whole: whole) else { continue }
                for byte in 0..<256 { shares[byte] = blend.shorter(shares[byte]) }
                for child in firstChild[Int(node)]..<firstChild[Int(node) + 1] {
                    let count = counts[Int(child)] &- (child == without ? 1 : 0)
                    shares[Int(bytes[Int(child)])] &+= blend.own(Self.quarters(count))
                }
            }
            for byte in 0..<256 { shares[byte] &+= 1 }
        }
    }

    /// The share that `predict` gives to one byte.
    public func share(of byte: UInt8, after context: Context, leavingOut: Bool = false) -> UInt32 {
        let whole = UInt64(1) << UInt64(Self.totalBits) - 256
        var share = UInt32(whole / 256)
        for length in 0...order where context.nodes[length] != Self.noNode {
            let node = context.nodes[length]
            let child = child(node, byte)
            let without = leavingOut ? child : nil
            guard let blend = Blend(self, node, without: without, whole: whole) else { continue }
            let count = child.map { counts[Int($0)] &- (leavingOut ? 1 : 0) } ?? 0
            share = blend.shorter(share) &+ blend.own(Self.quarters(count))
        }
        return share + 1
    }

    /// How the counts of one context are blended with the prediction of the shorter one.
    private struct Blend {
        // The part that goes to the shorter context, with 32 bits behind the point, and of each quarter of a count.
        private let rest: UInt64
        private let perQuarter: UInt64

        /// Nil for a context that was not seen but for the one occurrence that is left out.
        @inline(__always)
        init?(_ model: ByteContextModel, _ node: UInt32, without: UInt32?, whole: UInt64) {
            var (total, kept) = (model.counts[Int(node)], model.keptQuarters[Int(node)])
            if let without {
                let count = model.counts[Int(without)]
                total &-= 1
                kept &-= ByteContextModel.quarters(count) &- ByteContextModel.quarters(count &- 1)
            }
            guard total > 0 else { return nil }
            let quarters = 4 * UInt64(total)
            rest = ((quarters - UInt64(kept)) << 32) / quarters
            perQuarter = (whole << 32) / quarters
        }

        @inline(__always)
        func shorter(_ share: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: (UInt64(share) &* rest) &>> 32) }
        @inline(__always)
        func own(_ quarters: UInt32) -> UInt32 {
            UInt32(truncatingIfNeeded: (UInt64(quarters) &* perQuarter) &>> 32)
        }
    }
}

extension ByteContextModel {
    /// The bits that it needs for each byte of a text.
    public func bitsPerByte(of text: [UInt8]) -> Double {
        var (bits, context) = (0, Context())
        for byte in text {
            bits += BitCost.of(share(of: byte, after: context))
            advance(&context, by: byte)
        }
        return Double(bits) / Double(BitCost.bit) / Double(max(1, text.count))
    }
}
