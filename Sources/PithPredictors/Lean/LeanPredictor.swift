import CPithKernels
import PithCore

/// The predictor that coder and decoder share: it says how likely the next bit is a one, then learns the bit.
///
/// Each context keeps a bit history for each place in the byte; an adaptive map turns it into a probability; a mixer
/// weighs those of all contexts and of the match model; a refiner corrects the result. All of it is whole numbers.
struct LeanPredictor {
    private let arena: LeanArena
    private let tables: LeanTablePointers
    private let slots: LeanSlots
    private let window: LeanWindow
    private var contexts: LeanContexts
    private var match: LeanMatch
    private var mixer: LeanMixer
    private var refiner: LeanRefiner

    private let maps: UnsafeMutablePointer<UInt32>  // [historyCount, 256]
    private let current: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>  // [historyCount]: slots of this half byte
    private let lines: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>  // [contexts]
    private let checks: UnsafeMutablePointer<UInt8>  // [contexts]
    private let direct: UnsafeMutablePointer<UInt8>  // [257 (order 1 by byte, order 0), 17 halves, 16]

    /// Bytes taken in so far.
    private(set) var count = 0
    /// The bits of the present byte behind a 1.
    private var partial = 1
    private var knownBits = 0
    /// The node of the half byte.
    private var node = 1
    /// How many hashed contexts were seen before.
    private var confirmed = 0
    private var stretched: Int32 = 0
    private var lastByte = 0
    private var secondByte = 0
    /// Whether `lines` and `checks` are those of the next byte.
    private var isPrepared = false
    /// How likely runs go on: see `LeanTablePointers.learnt`.
    private var runEntry: UInt32 = 0

    /// After how many bits the maps get no slower.
    private static let mapLimit: UInt32 = 255
    /// How many bytes must have been as expected before whole bytes are coded.
    private static let runLength = 400

    /// The hashed contexts and the two direct ones.
    private let historyCount: Int
    private static let historyCapacity = LeanContexts.capacity + 2
    private static let sets = [256, 256, 32 * 16]

    /// Sizes of the tables.
    private struct Sizes {
        let slotBits, windowBits, matchBits, refinerBits: Int
        init(_ profile: LeanProfile) {
            let size = profile.sizeBits
            slotBits = min(max(size + 4, 12), 27)
            windowBits = min(max(size, 12), 25)
            matchBits = min(max(size - 1, 8), 22)
            refinerBits = min(max(size - 2, 8), 13)
        }
        var byteCount: Int {
            LeanTables.byteCount + 1 << slotBits + 1 << windowBits + LeanMatch.byteCount(bits: matchBits)
                + LeanMixer.byteCount(sets: sets) + LeanRefiner.byteCount(bits: refinerBits)
                + LeanArena.size(UInt32.self, 256 * historyCapacity) + LeanArena.size(Int.self, historyCapacity)
                + LeanArena.size(UInt8.self, 257 * 17 * 16) + 4 * LeanArena.size(UInt64.self, LeanContexts.capacity)
        }
    }

    /// The bytes of memory of a predictor.
    static func memory(_ profile: LeanProfile) -> Int { Sizes(profile).byteCount }

    /// A predictor that knows nothing yet.
    init(_ profile: LeanProfile) throws(PithError) {
        let sizes = Sizes(profile)
        arena = try LeanArena(byteCount: sizes.byteCount)
        slots = LeanSlots(bits: sizes.slotBits, arena: arena)
        window = LeanWindow(bits: sizes.windowBits, arena: arena)
        tables = LeanTables.copy(into: arena)
        contexts = LeanContexts(profile, arena: arena)
        historyCount = contexts.count + 2
        match = LeanMatch(minimum: profile.isText ? 6 : 5, bits: sizes.matchBits, tables: tables, arena: arena)
        mixer = LeanMixer(
            sets: Self.sets, weight: 16000, rate: profile.isText ? 20 : 50, tables: tables, arena: arena)
        refiner = LeanRefiner(bits: sizes.refinerBits, tables: tables, arena: arena)
        maps = arena.take(UInt32.self, 256 * Self.historyCapacity)
        for index in 0..<256 * Self.historyCapacity { maps[index] = LeanHistory.probability[index & 255] << 16 }
        current = arena.take(UnsafeMutablePointer<UInt8>.self, Self.historyCapacity)
        lines = arena.take(UnsafeMutablePointer<UInt8>.self, LeanContexts.capacity)
        checks = arena.take(UInt8.self, LeanContexts.capacity)
        direct = arena.take(UInt8.self, 257 * 17 * 16)
        mixer.inputs[historyCount + 1] = 256
        runEntry = 0xFFF0_0000
    }

    /// Whether so many bytes were as they were before that the next one is coded as a whole: `expectedByte` or not.
    @inline(__always)
    var isInRun: Bool { match.length >= Self.runLength }

    /// The byte that is expected in a run.
    @inline(__always)
    var expectedByte: UInt8 { UInt8(truncatingIfNeeded: match.expected) }

    /// The probability that a run goes on, of 2¹⁶: in 1..<2¹⁶.
    @inline(__always)
    var runProbability: UInt32 { min(max(runEntry &>> 16, 1), 65535) }

    /// Learns whether a run went on; if so the expected byte is taken in.
    @inline(__always)
    mutating func updateRun(_ bit: Int) {
        runEntry = tables.learnt(runEntry, bit, limit: 255)
        if bit == 1 {
            let byte = expectedByte
            let high = UInt64(byte) & ~UInt64(LeanSlots.aheadMask)
            contexts.prepare(high, window, end: count &+ 1, into: contexts.hashes)
            isPrepared = false
            match.look(window, end: count)
            take(byte)
        } else {
            match.stop()
        }
    }

    /// The probability that the next bit is a one, of 2¹⁶: in 1..<2¹⁶.
    @inline(__always)
    mutating func probability() -> UInt32 {
        mixer.choose(0, set: partial)
        mixer.choose(1, set: lastByte)
        mixer.choose(2, set: match.lengthClass &* 16 &+ confirmed)
        stretched = mixer.mix(finalSet: partial)
        let refined = refiner.refine(stretched)
        return min(max((tables.squash(stretched) &+ 3 &* refined) &>> 2, 1), 65535)
    }

    /// Learns the bit that `probability` was for.
    @inline(__always)
    mutating func update(_ bit: Int) {
        mixer.update(bit)
        refiner.update(bit)
        match.update(bit)
        partial = partial &<< 1 | bit
        knownBits &+= 1
        switch knownBits {
        case 8 - LeanSlots.ahead: prepareNextByte()
        case 4 - LeanSlots.ahead: prepareSecondHalf()
        case 8:
            learnHistories(bit)
            take(UInt8(truncatingIfNeeded: partial))
            return
        case 4:
            learnHistories(bit)
            beginSecondHalf()
            predictHistories()
            predictRest()
            return
        default: break
        }
        learnAndPredictHistories(bit)
        predictRest()
    }

    /// Lets the histories of all contexts, and their maps, learn a bit.
    @inline(__always)
    private func learnHistories(_ bit: Int) {
        for index in 0..<historyCount {
            let history = current[index] + node
            let state = Int(history.pointee)
            let map = maps + (index &<< 8 &+ state)
            map.pointee = tables.learnt(map.pointee, bit, limit: Self.mapLimit)
            history.pointee = tables.next[state &<< 1 &+ bit]
        }
    }

    /// Tells the mixer what the histories of all contexts predict.
    @inline(__always)
    private func predictHistories() {
        for index in 0..<historyCount {
            let entry = maps[index &<< 8 &+ Int(current[index][node])]
            mixer.inputs[index] = tables.stretch(entry)
        }
    }

    /// Both in one pass, for bits that stay in the slots.
    @inline(__always)
    private mutating func learnAndPredictHistories(_ bit: Int) {
        let (old, new) = (node, node &<< 1 | bit)
        node = new
        let (next, maps, inputs) = (tables.next + bit, self.maps, mixer.inputs)
        for index in 0..<historyCount {
            let slot = current[index]
            let state = Int(slot[old])
            let map = maps + index &<< 8
            map[state] = tables.learnt(map[state], bit, limit: Self.mapLimit)
            slot[old] = next[state &<< 1]
            inputs[index] = tables.stretch(map[Int(slot[new])])
        }
    }

    /// Makes all but the histories ready for the next bit.
    @inline(__always)
    private mutating func predictRest() {
        let recent = UInt32(truncatingIfNeeded: partial | lastByte &<< 8 | secondByte &<< 16) &* 0x9E37_79B1
        refiner.choose(Int(recent &>> 12))
        match.predict(partial: partial, count: knownBits, into: mixer.inputs + historyCount)
    }

    @inline(__always)
    private mutating func take(_ byte: UInt8) {
        window[count] = byte
        count &+= 1
        if count & 1023 == 0 { mixer.settle(after: count) }
        secondByte = lastByte
        lastByte = Int(byte)
        contexts.advance(byte)
        match.advance(window, end: count)
    }

    /// Begins a byte that is coded bit by bit.
    @inline(__always)
    mutating func beginByte() {
        if !isPrepared { prepareLines() }
        (partial, knownBits, node) = (1, 0, 1)
        let low = UInt8(truncatingIfNeeded: lastByte & LeanSlots.aheadMask)
        confirmed = 0
        for index in 0..<contexts.count {
            let slot = LeanSlots.find(checks[index] &+ low, in: lines[index])
            current[index] = slot
            contexts.hashes[index] &+= UInt64(low) &* 0x9E6C_63D0_9759_27D5
            confirmed &+= slot[1] == 0 ? 0 : 1
        }
        current[contexts.count] = direct + lastByte &* (17 * 16)
        current[contexts.count + 1] = direct + 256 * 17 * 16
        predictHistories()
        predictRest()
    }

    /// Asks for the lines of `prepareSecondHalf` and `prepareNextByte`, as soon as an encoder can.
    @inline(__always)
    func prefetch(_ byte: UInt8) {
        let half = Self.half(Int(byte &>> UInt8(4 &+ LeanSlots.ahead)) | 1 &<< (4 &- LeanSlots.ahead))
        let high = UInt64(byte) & ~UInt64(LeanSlots.aheadMask)
        contexts.prepare(high, window, end: count &+ 1, into: contexts.earlyHashes)
        for index in 0..<contexts.count {
            _ = slots.line(Self.hash(contexts.hashes[index], half))
            _ = slots.line(contexts.earlyHashes[index])
        }
    }

    /// Asks for the lines of the next byte's first half, when the last bits of this byte are still missing.
    @inline(__always)
    private mutating func prepareNextByte() {
        let high = UInt64(truncatingIfNeeded: partial &<< LeanSlots.ahead & 255)
        contexts.prepare(high, window, end: count &+ 1, into: contexts.hashes)
        prepareLines()
        match.look(window, end: count)
    }

    @inline(__always)
    private mutating func prepareLines() {
        for index in 0..<contexts.count {
            let hash = contexts.hashes[index]
            lines[index] = slots.line(hash)
            checks[index] = UInt8(truncatingIfNeeded: hash &>> 24)
        }
        isPrepared = true
    }

    /// Asks for the lines of the second half, when the last bits of the first are still missing.
    @inline(__always)
    private mutating func prepareSecondHalf() {
        let half = Self.half(partial)
        for index in 0..<contexts.count {
            let hash = Self.hash(contexts.hashes[index], half)
            lines[index] = slots.line(hash)
            checks[index] = UInt8(truncatingIfNeeded: hash &>> 24)
        }
    }

    /// What the first bits of a byte, behind a 1, add to the hash of its context.
    @inline(__always)
    private static func half(_ partial: Int) -> UInt64 { UInt64(truncatingIfNeeded: partial) &* 0x9E37_79B9_7F4A_7C15 }

    /// The hash of a context with the first bits of a byte.
    @inline(__always)
    private static func hash(_ context: UInt64, _ half: UInt64) -> UInt64 {
        (context &+ half) &* 0xBF58_476D_1CE4_E5B9
    }

    @inline(__always)
    private mutating func beginSecondHalf() {
        node = 1
        let low = UInt8(truncatingIfNeeded: partial & LeanSlots.aheadMask)
        for index in 0..<contexts.count { current[index] = LeanSlots.find(checks[index] &+ low, in: lines[index]) }
        let place = (1 &+ partial & 15) &* 16
        current[contexts.count] = direct + lastByte &* (17 * 16) + place
        current[contexts.count + 1] = direct + (256 * 17 * 16 &+ place)
    }
}
