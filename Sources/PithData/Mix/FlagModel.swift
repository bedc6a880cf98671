import PithCoding

/// Predicts the flags of an external predictor: its own probability, mixed with what came of flags in many contexts.
///
/// Whether a token ends follows from the bytes to come; so the contexts are those that foretell bytes, and the byte that
/// a match expects.
struct FlagModel {
    private var mixer: Mixer
    private let tables: MixTables
    // Estimates by context, and those in use.
    private let estimates: UnsafeMutablePointer<UInt32>
    private let used: UnsafeMutablePointer<Int>
    // What the predictor says itself.
    private var outside: ExternalInput
    // 1 for a flag that was 0, 2 for one that was 1, by the place of the byte behind it.
    private let flags: UnsafeMutablePointer<UInt8>
    private var refinement: Refinement
    private var place = 0

    private let contextBits: Int

    /// Lengths of the contexts of bytes.
    private static let lengths = [1, 2, 3, 4, 5, 6, 7, 8]
    private static let contexts = lengths.count + 10
    private static let contextStart = ExternalInput.count + 1
    private static let inputsPerContext = 2

    /// A model of flags with 2^`bits` estimates for each context.
    init(bits: Int, _ history: History, _ tables: MixTables, _ arena: Arena) {
        self.tables = tables
        contextBits = bits
        estimates = arena.allocate(Self.contexts << bits)
        used = arena.allocate(Self.contexts)
        flags = arena.allocate(history.mask + 1)
        mixer = Mixer(
            inputCount: Self.contextStart + Self.contexts * Self.inputsPerContext,
            sets: [ExternalPrediction.classes, 256, 16 * 12, 16 * 16, 1024], finalSets: [32, 12], tables, arena)
        outside = ExternalInput(bits: min(bits, 16), tables, arena)
        refinement = Refinement(contexts: 1024, rate: 6, arena)
    }

    /// The probability of 2¹⁶, in 1..<2¹⁶, that the flag is true.
    mutating func predict<External: ExternalPredictor>(
        _ prediction: ExternalPrediction, _ history: History, _ text: TextState, _ matches: MatchModels,
        _ external: borrowing External
    ) -> UInt32 {
        let inputs = mixer.inputs
        inputs[0] = 256
        outside.predict(prediction, history, external.depth, into: inputs + 1)
        let depth = UInt64(external.depth)
        let match = matches.long.matched > 0 ? matches.long : matches.middle.matched > 0 ? matches.middle : matches.short
        var view = 0  // what the match says
        var strength = 0
        if let byte = match.upcoming {
            view = (external.goesOn(with: byte) ? 1 : 2) * 3 + Int(flags[match.place & history.mask])
            strength = match.matched == 0 ? 1 : min(2 + match.matched / 4, 15)
        }
        let prefix = Hash.combine(history.lastBytes(min(external.depth, 8)), depth)
        for (index, length) in Self.lengths.enumerated() {
            look(up: Hash.combine(depth, history.lastBytes(length)), index)
        }
        var index = Self.lengths.count
        func add(_ hash: UInt64) {
            look(up: hash, index)
            index += 1
        }
        let word = text.word != 0 ? text.word : text.gap
        let current = Hash.combine(word, depth)
        add(Hash.combine(current, text.words.0))
        add(Hash.combine(Hash.combine(current, text.words.0), text.words.1))
        add(Hash.combine(current, text.words.1))
        add(Hash.combine(current, 0))
        add(prefix)
        add(UInt64(outside.rowClass << 8 | view << 4 | strength))
        add(Hash.combine(prefix, UInt64(view << 4 | strength)))
        add(Hash.combine(prefix, UInt64(outside.stretched + 2048) >> 7))
        add(Hash.combine(text.shape & 0xFFFF, depth))
        add(Hash.combine(prefix, text.words.0))
        let length = min(external.depth, 15)
        mixer.select(0, outside.rowClass)
        mixer.select(1, Int(history.byte(1)))
        mixer.select(2, strength * 12 + view)
        mixer.select(3, length << 4 | min(text.wordLength, 15))
        mixer.select(4, Int(prefix >> 54))
        mixer.selectFinal(0, outside.rowClass)
        mixer.selectFinal(1, view)
        let mixed = mixer.predict()
        place = history.position & history.mask
        let refined = refinement.refine(mixed, Int(prefix >> 54))
        return UInt32(min(max((tables.squash(mixed) + refined) / 2, 1), 65535))
    }

    /// Finds the estimate of a context and gives it to the mixer.
    private func look(up hash: UInt64, _ index: Int) {
        let place = index << contextBits | Int(Hash.combine(UInt64(index), hash) >> UInt64(64 - contextBits))
        used[index] = place
        let input = mixer.inputs + Self.contextStart + index * Self.inputsPerContext
        let state = estimates[place]
        let (seen, probability) = (Int32(state & 1023), state >> 16)
        let worth = (seen << 12) / (2 * seen + 3) * 2
        input[0] = Int16(tables.stretch(probability) * worth >> 12)
        input[1] = Int16(((Int32(probability) - 32768) * worth) >> 17)
    }

    /// Learns a flag.
    mutating func update(_ bit: UInt32, weighs: Bool) {
        outside.update(bit)
        for index in 0..<Self.contexts {
            let state = estimates[used[index]]
            estimates[used[index]] = Estimate.updated(
                state & 1023 == 0 ? Estimate.start : state, bit, limit: 255, tables)
        }
        if weighs {
            mixer.update(bit)
            refinement.update(bit)
        }
        flags[place] = UInt8(1 + bit)
    }
}
