import CPithKernels

/// Hashed contexts: what followed them is kept in one table that all share, and each makes a few inputs of the mixer.
///
/// A context is looked up twice for each byte, at its beginning and in its middle. The slot found has a bit history for
/// each of the 15 places in a tree of four bits; that of the first half also the byte that came last, and how often it
/// came in a row.
struct ContextBank {
    /// Inputs that each context makes.
    static let inputsPerContext = 4

    let count: Int
    private let slots: SlotTable
    private let tables: MixTables
    // [count]: what is looked up next.
    private let hashes: UnsafeMutablePointer<UInt64>
    private var added = 0
    /// What all contexts of the next byte have in common.
    var side: UInt64 = 0
    // [count]: histories of the current half byte; those of the first half, which keep runs.
    private let nodes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
    private let runs: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
    // [count, 256]: the probability that a state stands for, learnt for each context.
    private let stateEstimates: UnsafeMutablePointer<UInt32>
    // [count, runClasses]: how likely a run goes on.
    private let runEstimates: UnsafeMutablePointer<UInt32>
    // [count]: the places in them that were used last.
    private let usedState: UnsafeMutablePointer<Int32>
    private let usedRun: UnsafeMutablePointer<Int32>
    private let successors: UnsafeMutablePointer<UInt8>
    private let directions: UnsafeMutablePointer<Int8>
    private var node = 1
    /// How many of the first `ordered` contexts have been seen before.
    private(set) var known = 0
    private let ordered: Int

    private static let runClasses = 16 * 8
    private static let stateLimit: UInt32 = 1023
    private static let runLimit: UInt32 = 511
    // How many bits the first estimates are worth.
    private static let stateWorth: UInt32 = 10
    private static let runWorth: UInt32 = 5

    /// A bank of `count` contexts, of which the first `ordered` are told from others by `known`.
    init(count: Int, ordered: Int, slots: SlotTable, _ tables: MixTables, _ arena: Arena) {
        self.count = count
        self.ordered = ordered
        self.slots = slots
        self.tables = tables
        hashes = arena.allocate(count)
        nodes = arena.allocate(count)
        runs = arena.allocate(count)
        usedState = arena.allocate(count)
        usedRun = arena.allocate(count)
        successors = arena.copy(BitHistory.successors)
        directions = arena.copy(BitHistory.directions)
        stateEstimates = arena.allocate(count * 256)
        runEstimates = arena.allocate(count * Self.runClasses)
        let start = BitHistory.probabilities
        for context in 0..<count {
            for state in 0..<256 {
                stateEstimates[context * 256 + state] = start[state] << 10 | Self.stateWorth
            }
            for index in 0..<Self.runClasses {
                let length = UInt32(index >> 3)
                runEstimates[context * Self.runClasses + index] =
                    ((1 << 22) - (1 << 21) / (length + 1)) << 10 | Self.runWorth
            }
            nodes[context] = slots.scratch + SlotTable.nodeOffset
            runs[context] = slots.scratch + SlotTable.runOffset
        }
    }

    /// Adds a context of the next byte; all `count` must be added, in the same order each time.
    @inline(__always)
    mutating func add(_ hash: UInt64) {
        let mixed = Hash.combine(hash, UInt64(added) &+ 0x1234_5678 &+ side &<< 32)
        hashes[added] = mixed
        slots.prefetch(mixed)
        added &+= 1
    }

    /// Finds the slots of the contexts that were added, for the first half of a byte.
    mutating func beginByte() {
        assert(added == count, "\(added) contexts of \(count)")
        added = 0
        node = 1
        known = 0
        for context in 0..<count {
            let slot = slots.find(hashes[context])
            nodes[context] = slot + SlotTable.nodeOffset
            runs[context] = slot + SlotTable.runOffset
            if context < ordered && slot[SlotTable.nodeOffset] != 0 { known &+= 1 }
        }
    }

    /// Finds the slots for the second half of a byte, given a one and its first four bits.
    mutating func beginSecondHalf(_ partial: Int) {
        node = 1
        for context in 0..<count {
            hashes[context] = Hash.combine(hashes[context], UInt64(partial))
            slots.prefetch(hashes[context])
        }
        for context in 0..<count { nodes[context] = slots.find(hashes[context]) + SlotTable.nodeOffset }
    }

    /// Writes the inputs of the next bit; `partial` is a one and the bits of the byte that are known.
    @inline(__always)
    mutating func predict(_ partial: Int, _ bitIndex: Int, into inputs: UnsafeMutablePointer<Int16>) {
        var input = inputs
        for context in 0..<count {
            let state = Int(nodes[context][node &- 1])
            let place = context &* 256 &+ state
            usedState[context] = Int32(truncatingIfNeeded: place)
            if state == 0 {
                (input[0], input[1], input[2]) = (0, 0, 0)
            } else {
                let probability = stateEstimates[place] &>> 16
                let stretched = tables.stretch(probability)
                input[0] = Int16(truncatingIfNeeded: stretched)
                input[1] = Int16(truncatingIfNeeded: (Int32(probability) &- 32768) &>> 5)
                input[2] = directions[state] == 0 ? 0 : Int16(truncatingIfNeeded: stretched)
            }
            predictRun(context, partial, bitIndex, input + 3)
            input += Self.inputsPerContext
        }
    }

    /// The input of the byte that came last, while its bits agree with those of the next.
    @inline(__always)
    private func predictRun(
        _ context: Int, _ partial: Int, _ bitIndex: Int, _ input: UnsafeMutablePointer<Int16>
    ) {
        let (expected, length) = (Int(runs[context][0]) | 256, Int(runs[context][1]))
        guard length > 0, expected &>> (8 &- bitIndex) == partial else {
            usedRun[context] = -1
            input.pointee = 0
            return
        }
        let place = context &* Self.runClasses &+ min(length, 15) &* 8 &+ bitIndex
        let bit = expected &>> (7 &- bitIndex) & 1
        usedRun[context] = Int32(truncatingIfNeeded: place &* 2 &+ bit)
        // Stretched as well it would tell the mixer nothing more.
        let linear = (Int32(runEstimates[place] &>> 16) &- 32768) &>> 5
        input.pointee = Int16(truncatingIfNeeded: bit == 1 ? linear : 0 &- linear)
    }

    /// Learns a bit.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        for context in 0..<count {
            let place = Int(usedState[context])
            stateEstimates[place] = Estimate.updated(stateEstimates[place], bit, limit: Self.stateLimit, tables)
            nodes[context][node &- 1] = successors[2 &* (place & 255) &+ Int(bit)]
            let run = Int(usedRun[context])
            if run >= 0 {
                let isRight: UInt32 = UInt32(run & 1) == bit ? 1 : 0
                runEstimates[run &>> 1] = Estimate.updated(
                    runEstimates[run &>> 1], isRight, limit: Self.runLimit, tables)
            }
        }
        node = node &<< 1 | Int(bit)
    }

    /// Learns the byte that the last eight bits are.
    mutating func finishByte(_ byte: UInt8) {
        for context in 0..<count {
            let run = runs[context]
            if run[1] > 0 && run[0] == byte {
                if run[1] < 255 { run[1] &+= 1 }
            } else {
                (run[0], run[1]) = (byte, 1)
            }
        }
    }
}

/// A hash table of slots: three in each cache line, found by 16 bits of the hash.
struct SlotTable {
    /// Where a slot's bit histories and its run are; the two bytes before tell whose slot it is.
    static let nodeOffset = 2
    static let runOffset = 17
    private static let slotSize = 21
    private static let lineSize = 64
    private static let slotsInLine = 3

    private let lines: UnsafeMutablePointer<UInt8>
    private let lineCount: UInt64
    private let priorities: UnsafeMutablePointer<UInt8>
    /// A slot that belongs to none: for contexts before the first byte.
    let scratch: UnsafeMutablePointer<UInt8>

    /// A table of about `size` bytes.
    init(size: Int, _ arena: Arena) {
        lineCount = UInt64(max(size / Self.lineSize, 1))
        lines = arena.allocate(Int(lineCount) * Self.lineSize)
        priorities = arena.copy(BitHistory.priorities)
        scratch = arena.allocate(Self.lineSize)
    }

    @inline(__always)
    private func line(_ hash: UInt64) -> UnsafeMutablePointer<UInt8> {
        lines + Int(((hash &>> 32) &* lineCount) &>> 32) &* Self.lineSize
    }

    /// Asks for the line of a hash before it is read.
    @inline(__always)
    func prefetch(_ hash: UInt64) { pith_prefetch(line(hash), 64) }

    /// The slot of a hash; an empty one, in the place of the least used, if there is none.
    @inline(__always)
    func find(_ hash: UInt64) -> UnsafeMutablePointer<UInt8> {
        let line = line(hash)
        let check = UInt16(truncatingIfNeeded: hash) | 1
        var (least, leastPriority) = (line, Int.max)
        for index in 0..<Self.slotsInLine {
            let slot = line + index &* Self.slotSize
            if UnsafeRawPointer(slot).loadUnaligned(as: UInt16.self) == check { return slot }
            let priority = Int(priorities[Int(slot[Self.nodeOffset])])
            if priority < leastPriority { (least, leastPriority) = (slot, priority) }
        }
        let raw = UnsafeMutableRawPointer(least)
        raw.storeBytes(of: check, as: UInt16.self)
        raw.storeBytes(of: 0, toByteOffset: 2, as: UInt64.self)
        raw.storeBytes(of: 0, toByteOffset: 10, as: UInt64.self)
        raw.storeBytes(of: 0, toByteOffset: 13, as: UInt64.self)
        return least
    }
}
