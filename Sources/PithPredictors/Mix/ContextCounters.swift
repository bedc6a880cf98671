import CPithKernels

/// Contexts that are seen often: a probability and a count for each place, precise where a bit history is coarse.
///
/// Each context has a line of 16 estimates for each half byte; lines are found by hash alone, and contexts that fall
/// together share one.
struct ContextCounters {
    static let inputsPerContext = 2

    let count: Int
    private let tables: MixTables
    private let lines: UnsafeMutablePointer<UInt32>
    private let shift: UInt64
    private let hashes: UnsafeMutablePointer<UInt64>
    private let current: UnsafeMutablePointer<UnsafeMutablePointer<UInt32>>
    // [1024]: how much an estimate is worth after n bits, of 2¹⁶.
    private let trust: UnsafeMutablePointer<Int32>
    private var added = 0
    private var node = 1

    private static let limit: UInt32 = 1000

    /// Counters of `count` contexts in a table of 2^`bits` bytes.
    init(count: Int, bits: Int, _ tables: MixTables, _ arena: Arena) {
        self.count = count
        self.tables = tables
        lines = arena.allocate(1 << (bits - 2))
        shift = UInt64(64 - (bits - 6))
        hashes = arena.allocate(count)
        current = arena.allocate(count)
        let trustValues: [Int32] = (0..<1024).map { (seen: Int) -> Int32 in
            let share: Int = (seen << 17) / (2 * seen + 3)
            return Int32(share)
        }
        trust = arena.copy(trustValues)
        for context in 0..<count { current[context] = lines }
    }

    /// Adds a context of the next byte; all `count` must be added, in the same order each time.
    @inline(__always)
    mutating func add(_ hash: UInt64) {
        hashes[added] = Hash.combine(hash, UInt64(added) &+ 77)
        enter(added)
        added &+= 1
        if added == count { (added, node) = (0, 1) }
    }

    @inline(__always)
    private func enter(_ context: Int) {
        current[context] = lines + Int(hashes[context] &>> shift) &* 16
        pith_prefetch(current[context], 64)
    }

    /// Goes on to the second half of a byte, given a one and its first four bits.
    mutating func beginSecondHalf(_ partial: Int) {
        node = 1
        for context in 0..<count {
            hashes[context] = Hash.combine(hashes[context], UInt64(partial))
            enter(context)
        }
    }

    /// Writes the inputs of the next bit.
    @inline(__always)
    func predict(into inputs: UnsafeMutablePointer<Int16>) {
        for context in 0..<count {
            let state = current[context][node]
            // Memory begins as zeros: no bits seen.
            let input = inputs + context &* Self.inputsPerContext
            let seen = Int(state & 1023)
            let probability = state &>> 16
            let worth: Int32 = trust[seen] &>> 4
            let stretched: Int32 = tables.stretch(probability) &* worth
            let linear: Int32 = (Int32(probability) &- 32768) &* worth
            input[0] = Int16(truncatingIfNeeded: stretched &>> 12)
            input[1] = Int16(truncatingIfNeeded: linear &>> 17)
        }
    }

    /// Learns a bit.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        for context in 0..<count {
            let state = current[context][node]
            current[context][node] = Estimate.updated(
                state & 1023 == 0 ? Estimate.start : state, bit, limit: Self.limit, tables)
        }
        node = node &<< 1 | Int(bit)
    }
}
