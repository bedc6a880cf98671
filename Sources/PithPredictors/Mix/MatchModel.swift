/// Looks for the longest place in what was coded that ends as the end does, and expects the byte that followed there.
struct MatchModel {
    static let inputCount = 4

    private let minimum: Int
    private let table: UnsafeMutablePointer<UInt32>
    private let tableBits: Int
    private let tables: MixTables
    // Behind the place that matches; 0 is none.
    private var pointer = 0
    private var length = 0
    // Wrong guesses since the match was found: it is followed for a while, as text is changed in a few places.
    private var misses = 0
    // By length, wrong guesses, and whether bits are left: how likely the expected bit is right.
    private let estimates: UnsafeMutablePointer<UInt32>
    private var used = -1
    private var expectedBit: UInt32 = 0
    private var expectedByte = 0

    private static let lengthClasses = 32
    private static let missClasses = 8
    private static let longest = 65535

    /// Finds matches of `minimum` bytes or more by a table of 2^`bits` places.
    init(minimum: Int, bits: Int, _ tables: MixTables, _ arena: Arena) {
        self.minimum = minimum
        self.tables = tables
        tableBits = bits
        table = arena.allocate(1 << bits)
        let count = Self.lengthClasses * Self.missClasses * 8
        estimates = arena.allocate(count)
        for index in 0..<count { estimates[index] = ((3 << 20) + 1) << 10 }
    }

    /// The byte that is expected, while the bits that are known agree with it; nil else.
    var expectation: Int? { used >= 0 ? expectedByte : nil }
    /// The byte that is expected next, between bytes; nil without a match.
    var upcoming: UInt8? { pointer > 0 ? UInt8(expectedByte) : nil }
    /// The place of that byte, and how long it matched.
    var place: Int { pointer }
    var matched: Int { misses > 0 ? 0 : length }

    /// How much the match is to be trusted, in 0..<16: 0 is no match.
    var strength: Int {
        guard used >= 0 else { return 0 }
        return misses > 0 ? 1 + min(lengthClass / 8, 2) : min(4 + lengthClass * 3 / 8, 15)
    }
    /// The bit that is expected, 0 or 1, or 2 if there is none.
    var bit: Int { used >= 0 ? Int(expectedBit) : 2 }
    /// The length of the match, 0 without.
    var currentLength: Int { used >= 0 ? length : 0 }

    private var lengthClass: Int {
        if length < 16 { return length }
        if length < 32 { return 16 + (length - 16) / 4 }
        return min(20 + (length - 32) / 32, Self.lengthClasses - 1)
    }

    /// Follows the match by the last byte, or looks for another.
    mutating func beginByte(_ history: History) {
        let position = history.position
        if pointer > 0 {
            let isRight = expectedByte == Int(history.byte(1))
            pointer += 1
            if isRight {
                length = min(length + 1, Self.longest)
                if misses > 0 && length >= 16 { misses = max(0, misses - 1) }
            } else {
                length = 0
                misses += 1
                if misses >= Self.missClasses { pointer = 0 }
            }
        }
        guard position >= minimum else { return }
        let place = Int(hash(history) >> UInt64(64 - tableBits))
        if pointer == 0 || misses > 0 { find(Int(table[place]), history) }
        table[place] = UInt32(truncatingIfNeeded: position)
        // What left the ring cannot be followed.
        if position - pointer >= history.mask { pointer = 0 }
        if pointer > 0 { expectedByte = Int(history.ring[pointer & history.mask]) }
    }

    private mutating func find(_ candidate: Int, _ history: History) {
        guard candidate > 0, history.position - candidate < history.mask - 64 else { return }
        var found = 0
        while found < candidate && found < 400
            && history.ring[(candidate - 1 - found) & history.mask]
                == UInt8(truncatingIfNeeded: history.byte(found + 1))
        { found += 1 }
        guard found >= minimum, found > length else { return }
        (pointer, length, misses) = (candidate, found, 0)
    }

    private func hash(_ history: History) -> UInt64 {
        if minimum <= 8 { return Hash.combine(UInt64(minimum), history.lastBytes(minimum)) }
        var hash = UInt64(minimum)
        for distance in 1...minimum { hash = (hash &+ UInt64(history.byte(distance)) &+ 1) &* 0x9E37_79B9_7F4A_7C15 }
        return hash
    }

    /// Writes the inputs of the next bit.
    @inline(__always)
    mutating func predict(_ history: History, into inputs: UnsafeMutablePointer<Int16>) {
        used = -1
        (inputs[0], inputs[1], inputs[2], inputs[3]) = (0, 0, 0, 0)
        guard pointer > 0, (expectedByte | 256) >> (8 - history.bitIndex) == history.partial else { return }
        expectedBit = UInt32(expectedByte >> (7 - history.bitIndex) & 1)
        used = (lengthClass * Self.missClasses + misses) * 8 + history.bitIndex
        let probability = estimates[used] >> 16
        let sign: Int32 = expectedBit == 1 ? 1 : -1
        let stretched = tables.stretch(probability)
        inputs[0] = Int16(sign * stretched)
        inputs[1] = Int16(sign * ((Int32(probability) - 32768) >> 5))
        if misses == 0 {
            inputs[2] = Int16(sign * Int32(min(length, 32)) * 32)
            inputs[3] = length >= 32 ? Int16(sign * stretched) : 0
        }
    }

    /// Learns a bit.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        guard used >= 0 else { return }
        estimates[used] = Estimate.updated(estimates[used], bit == expectedBit ? 1 : 0, limit: 1023, tables)
    }
}
