/// Predicts what followed the last place where the same bytes stood.
struct MatchPredictor {
    /// Matches begin at one of these lengths; the longer one is looked for first.
    private static let lengths = [12, 6]
    /// Longer matches are all the same.
    static let longest = 32

    private(set) var history: [UInt8] = []
    // For each length, the place behind the last bytes with a hash. Both grow with the history.
    private var places = lengths.map { _ in [UInt32](repeating: 0, count: 1 << 8) }
    private static let largestTable = 1 << 22
    private var pointer = 0
    /// How many bytes agree before the predicted one; 0 if nothing is predicted.
    private(set) var length = 0

    /// The predicted byte, if there is one.
    var predicted: UInt8? { length > 0 ? history[pointer] : nil }

    /// Learns the next byte.
    mutating func update(_ byte: UInt8) {
        if length > 0, history[pointer] == byte {
            length = min(length + 1, Self.longest)
            pointer += 1
        } else {
            length = 0
        }
        history.append(byte)
        if history.count > places[0].count, places[0].count < Self.largestTable { grow() }
        for (index, minimum) in Self.lengths.enumerated() {
            guard history.count >= minimum else { continue }
            let slot = slot(of: minimum, before: history.count)
            if length < minimum { find(at: Int(places[index][slot]), atLeast: minimum) }
            places[index][slot] = UInt32(truncatingIfNeeded: history.count)
        }
    }

    private mutating func find(at candidate: Int, atLeast minimum: Int) {
        guard candidate > 0 else { return }
        var agreeing = 0
        while agreeing < Self.longest, agreeing < candidate,
            history[candidate - 1 - agreeing] == history[history.count - 1 - agreeing]
        { agreeing += 1 }
        if agreeing >= minimum, agreeing > length { (length, pointer) = (agreeing, candidate) }
    }

    private mutating func grow() {
        let size = 2 * places[0].count
        for (index, minimum) in Self.lengths.enumerated() {
            places[index] = [UInt32](repeating: 0, count: size)
            for end in minimum..<max(minimum, history.count) {
                places[index][slot(of: minimum, before: end)] = UInt32(truncatingIfNeeded: end)
            }
        }
    }

    /// The slot of the `count` bytes before `end`.
    private func slot(of count: Int, before end: Int) -> Int {
        var hash: UInt64 = 0
        for byte in history[(end - count)..<end] { hash = (hash &+ UInt64(byte) &+ 1) &* 0x9E37_79B9_7F4A_7C15 }
        return Int(truncatingIfNeeded: hash &>> 40) & (places[0].count - 1)
    }
}
