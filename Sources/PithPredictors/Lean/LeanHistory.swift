/// What a context remembers of the bits that followed it, in one byte: all of the first three bits, later how many
/// zeros and ones there were and which came last.
///
/// States are numbered by the bits seen, so a smaller number is worth less when a slot must be given up. State 0 has
/// seen nothing.
package enum LeanHistory {
    /// One state before it is numbered.
    private struct State: Hashable {
        var zeros = 0
        var ones = 0
        /// The bits themselves behind a 1 while there are at most three; then the last one behind a 16.
        var recent = 1

        /// How many bits of a kind are counted beside `other` ones of the other kind.
        private static func limit(beside other: Int) -> Int {
            let limits = [44, 28, 16, 10, 7, 6]
            return other < limits.count ? limits[other] : 0
        }

        /// What a count is worth after a bit of the other kind: old evidence is forgotten.
        private static func forgotten(_ count: Int) -> Int {
            let kept = [0, 1, 2, 2, 3, 3, 4, 4]
            return count < kept.count ? kept[count] : 5
        }

        func following(_ bit: Int) -> State {
            var next = self
            if bit == 1 {
                next.ones += 1
                next.zeros = Self.forgotten(zeros)
                if next.ones > Self.limit(beside: next.zeros) { next.ones = ones }
            } else {
                next.zeros += 1
                next.ones = Self.forgotten(ones)
                if next.zeros > Self.limit(beside: next.ones) { next.zeros = zeros }
            }
            next.recent = recent < 8 ? recent << 1 | bit : 16 | bit
            return next
        }
    }

    private static let states: [State] = {
        var (found, order) = ([State(): 0], [State()])
        var place = 0
        while place < order.count {
            for bit in 0...1 {
                let next = order[place].following(bit)
                if found.updateValue(0, forKey: next) == nil { order.append(next) }
            }
            place += 1
        }
        order = order.enumerated().sorted {
            ($0.element.zeros + $0.element.ones, $0.offset) < ($1.element.zeros + $1.element.ones, $1.offset)
        }.map { $0.element }
        precondition(order.count <= 256, "\(order.count) states")
        return order
    }()

    /// How many states there are.
    package static var count: Int { states.count }

    /// The state after a bit, by state · 2 + bit.
    package static let next: [UInt8] = {
        let numbers = Dictionary(uniqueKeysWithValues: states.enumerated().map { ($0.element, UInt8($0.offset)) })
        let known = states.flatMap { state in (0...1).map { numbers[state.following($0)] ?? 0 } }
        return known + [UInt8](repeating: 0, count: 512 - known.count)
    }()

    /// The first guess of the probability of a one in a state, of 2¹⁶.
    package static let probability: [UInt32] = {
        let known = states.map { UInt32(65536 * (3 * $0.ones + 1) / (3 * ($0.zeros + $0.ones) + 2)) }
        return known + [UInt32](repeating: 1 << 15, count: 256 - known.count)
    }()
}
