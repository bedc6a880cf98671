/// What is remembered of the bits seen in a context, in one byte.
///
/// A history of up to four bits is kept whole. Longer ones are two counts and the last bit; the larger count is bounded
/// the lower the larger the smaller one is, and a bit of the other kind makes a large count small, since what was seen
/// last tells most. States are numbered in the order in which they are reached from the empty history.
package struct BitHistory: Hashable {
    private var zeros = 0
    private var ones = 0
    /// The last bits, the newest lowest: all of them while there are four at most, then one.
    private var recent = 0

    /// The largest count beside a smaller one of 0, 1, 2…
    private static let bounds = [41, 26, 11, 7, 6]
    private static let exactLength = 4

    private var total: Int { zeros + ones }

    /// The history after another bit.
    private func appending(_ bit: Int) -> BitHistory {
        var next = self
        if bit == 1 { next.ones += 1 } else { next.zeros += 1 }
        if next.total <= Self.exactLength {
            next.recent = recent << 1 | bit
            return next
        }
        next.recent = bit
        // Half of what the count of the other kind has too much is dropped.
        func reduced(_ count: Int) -> Int { count <= 2 ? count : min(count / 2 + 1, 10) }
        if bit == 1 { next.zeros = reduced(next.zeros) } else { next.ones = reduced(next.ones) }
        next.bound()
        // Fewer than four bits are left of a long history: they are told from short ones by order.
        if next.total <= Self.exactLength {
            next.recent = bit == 1 ? (1 << next.ones) - 1 : ((1 << next.ones) - 1) << next.zeros
        }
        return next
    }

    private mutating func bound() {
        let smaller = min(zeros, ones, Self.bounds.count - 1)
        let bound = Self.bounds[smaller]
        if zeros >= ones { zeros = min(zeros, bound) } else { ones = min(ones, bound) }
        if min(zeros, ones) >= Self.bounds.count {
            (zeros, ones) = (min(zeros, bound), min(ones, bound))
        }
    }

    /// All histories, the empty one first.
    private static let all: [BitHistory] = {
        var found = [BitHistory()]
        var seen = Set(found)
        var index = 0
        while index < found.count {
            for bit in 0..<2 {
                let next = found[index].appending(bit)
                if seen.insert(next).inserted { found.append(next) }
            }
            index += 1
        }
        precondition(found.count <= 256, "\(found.count) bit histories")
        return found
    }()

    /// How many there are.
    package static var count: Int { all.count }

    /// [512]: the state after a bit, at 2 · state + bit.
    package static let successors: [UInt8] = {
        let numbers = Dictionary(uniqueKeysWithValues: zip(all, 0...))
        var table = [UInt8](repeating: 0, count: 512)
        for (state, history) in all.enumerated() {
            for bit in 0..<2 { table[2 * state + bit] = UInt8(numbers[history.appending(bit)]!) }
        }
        return table
    }()

    /// [256]: how many bits were seen, about: what is worth keeping.
    static let priorities: [UInt8] = all.map { UInt8(min($0.total, 255)) } + padding(0)

    /// [256]: 1 where only ones were seen, −1 where only zeros, else 0.
    static let directions: [Int8] =
        all.map { $0.total == 0 ? 0 : $0.zeros == 0 ? 1 : $0.ones == 0 ? -1 : 0 } + padding(0)

    /// [256]: the probability of a one of 2²² before anything is known of the state.
    package static let probabilities: [UInt32] =
        all.map { history in
            // A prior of 0.4 bits of each kind.
            UInt32((history.ones * 10 + 4) << 22 / (history.total * 10 + 8))
        } + padding(1 << 21)

    private static func padding<Value>(_ value: Value) -> [Value] { [Value](repeating: value, count: 256 - all.count) }
}
