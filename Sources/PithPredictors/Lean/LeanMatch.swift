import CPithKernels

/// Finds the last place where the last few bytes stood before, and predicts that what followed then will follow now.
struct LeanMatch {
    /// Bytes that must agree before a place is looked for.
    private let minimum: Int
    private let places: UnsafeMutablePointer<UInt32>  // by hash: the offset behind the bytes, modulo 2³²
    private let hashShift: UInt64
    private let maps: UnsafeMutablePointer<UInt32>  // [lengths, expected bit]: see `LeanTablePointers.learnt`
    private let tables: LeanTablePointers
    /// The offset of the byte that is expected next, where `length` > 0.
    private var place = 0
    /// How many bytes agree; 0 where nothing is expected.
    private(set) var length = 0
    /// The byte that is expected, with a 1 before it; 0 where nothing is.
    private(set) var expected = 0
    private var entry = 0
    private var slot = 0
    /// The offset behind the bytes found for the last hash; 0 if there were none.
    private var candidate = 0

    static let longest = 65535
    private static let lengthClasses = 32

    static func byteCount(bits: Int) -> Int {
        LeanArena.size(UInt32.self, 1 << bits) + LeanArena.size(UInt32.self, 2 * lengthClasses)
    }

    /// A model with 2^`bits` places.
    init(minimum: Int, bits: Int, tables: LeanTablePointers, arena: LeanArena) {
        self.minimum = minimum
        self.tables = tables
        places = arena.take(UInt32.self, 1 << bits)
        hashShift = UInt64(64 - bits)
        maps = arena.take(UInt32.self, 2 * Self.lengthClasses)
        for index in 0..<Self.lengthClasses {
            let p = UInt32((1 << 22) - (1 << 22) / (index + 3))
            maps[2 * index] = (1 << 22 - p) << 10
            maps[2 * index + 1] = p << 10
        }
    }

    /// The class of the length, 0 (no match) to 31.
    @inline(__always)
    var lengthClass: Int {
        if length < 16 { return length }
        if length < 32 { return 16 &+ (length &- 16) &>> 2 }
        return min(20 &+ (length &- 32) &>> 5, Self.lengthClasses &- 1)
    }

    /// Moves on behind the byte at `end` − 1 of `window`, to the place that `look` found if the old one failed.
    @inline(__always)
    mutating func advance(_ window: LeanWindow, end: Int) {
        if length > 0 {
            length = min(length &+ 1, Self.longest)
            place &+= 1
        } else if candidate > 0 {
            place = candidate &+ 1
            while length < 32 && length < place && window[place &- 1 &- length] == window[end &- 1 &- length] {
                length &+= 1
            }
            if length < minimum { length = 0 }
        }
        expected = length > 0 ? Int(window[place]) | 256 : 0
        slot = Int(truncatingIfNeeded: window.hash(of: minimum, before: end) &>> hashShift)
        pith_prefetch(places + slot, 1)
    }

    /// Finds where the bytes before `end` stood last. That is done between two calls of `advance`, the second of which
    /// looks at the bytes there, so that none of them waits for memory.
    @inline(__always)
    mutating func look(_ window: LeanWindow, end: Int) {
        // Offsets are kept modulo 2³²: only distances within the window matter.
        let distance = Int(UInt32(truncatingIfNeeded: end) &- places[slot])
        places[slot] = UInt32(truncatingIfNeeded: end)
        candidate = distance < end && distance < window.count &- 64 ? end &- distance : 0
        window.prefetch(candidate)
    }

    /// Expects nothing more from the present place.
    @inline(__always)
    mutating func stop() { (length, expected) = (0, 0) }

    /// Writes the prediction for the bit that follows the bits of `partial` (behind a 1), of which `count` are known.
    @inline(__always)
    mutating func predict(partial: Int, count: Int, into input: UnsafeMutablePointer<Int16>) {
        guard length > 0 && expected &>> (8 &- count) == partial else {
            // Also behind a wrong bit: the rest of the byte has no expectation.
            stop()
            (input.pointee, entry) = (0, -1)
            return
        }
        entry = lengthClass &* 2 &+ (expected &>> (7 &- count) & 1)
        input.pointee = tables.stretch(maps[entry])
    }

    /// Learns the bit that was predicted.
    @inline(__always)
    func update(_ bit: Int) {
        if entry >= 0 { maps[entry] = tables.learnt(maps[entry], bit, limit: 1023) }
    }
}
