import PithCoding

/// Predicts the flags of an external predictor: its own probability, mixed with what came of flags in many contexts.
///
/// Whether a token ends follows from the bytes to come; so the contexts are those that foretell bytes, and the byte that
/// a match expects.
struct FlagModel {
    private var mixer: Mixer
    private var outside: ExternalInput
    private let estimates: FlagEstimates
    private var refinement: Refinement
    // By the place of the byte behind a flag: 1 for one that was 0, 2 for one that was 1.
    private let flags: UnsafeMutablePointer<UInt8>
    private let mask: Int
    private var place = 0
    private let tables: MixTables

    private static let prefixBits = 10

    /// A model of flags with 2^`bits` estimates for each context.
    init(bits: Int, _ history: History, _ tables: MixTables, _ arena: Arena) {
        self.tables = tables
        mask = history.mask
        flags = arena.allocate(mask + 1)
        outside = ExternalInput(bits: min(bits, 16), tables, arena)
        estimates = FlagEstimates(bits: bits, tables, arena)
        mixer = Mixer(
            inputCount: 1 + ExternalInput.count + FlagEstimates.inputCount,
            sets: [ExternalPrediction.classes, 256, 16 * MatchView.count, 16 * 16, 1 << Self.prefixBits],
            finalSets: [ExternalPrediction.classes, MatchView.count], tables, arena)
        refinement = Refinement(contexts: 1 << Self.prefixBits, rate: 6, arena)
    }

    /// About how many bytes a model takes.
    static func memory(bits: Int) -> Int { FlagEstimates.inputCount << (bits + 1) }

    /// The probability of 2¹⁶, in 1..<2¹⁶, that the flag is true.
    mutating func predict<External: ExternalPredictor>(
        _ prediction: ExternalPrediction, _ history: History, _ text: TextState, _ matches: MatchModels,
        _ external: borrowing External
    ) -> UInt32 {
        let inputs = mixer.inputs
        inputs[0] = 256
        outside.predict(prediction, history, external.depth, into: inputs + 1)
        let match = MatchView(matches, flags, mask, external)
        let prefix = Hash.combine(history.lastBytes(min(max(external.depth, 1), 8)), UInt64(external.depth))
        estimates.predict(
            FlagPlace(prefix: prefix, depth: UInt64(external.depth), match: match, outside: outside), history, text,
            into: inputs + 1 + ExternalInput.count)
        let prefixClass = Int(prefix >> UInt64(64 - Self.prefixBits))
        mixer.select(0, outside.rowClass)
        mixer.select(1, Int(history.byte(1)))
        mixer.select(2, match.strength * MatchView.count + match.view)
        mixer.select(3, min(external.depth, 15) << 4 | min(text.wordLength, 15))
        mixer.select(4, prefixClass)
        mixer.selectFinal(0, outside.rowClass)
        mixer.selectFinal(1, match.view)
        place = history.position & mask
        let mixed = mixer.predict()
        let refined = refinement.refine(mixed, prefixClass)
        return UInt32(min(max((tables.squash(mixed) + refined) / 2, 1), 65535))
    }

    /// Learns a flag; the stages that weigh only if they shall.
    mutating func update(_ bit: UInt32, weighs: Bool) {
        outside.update(bit)
        estimates.update(bit)
        flags[place] = UInt8(1 + bit)
        guard weighs else { return }
        mixer.update(bit)
        refinement.update(bit)
    }
}

/// What a match says of a flag.
private struct MatchView {
    /// How many views there are.
    static let count = 9

    /// 0 without a match; else by whether the token would go on with the expected byte, and the flag before that byte
    /// where it stood.
    private(set) var view = 0
    /// How long the match is, in 0..<16.
    private(set) var strength = 0

    init<External: ExternalPredictor>(
        _ matches: MatchModels, _ flags: UnsafeMutablePointer<UInt8>, _ mask: Int, _ external: borrowing External
    ) {
        let match =
            matches.long.matched > 0 ? matches.long : matches.middle.matched > 0 ? matches.middle : matches.short
        guard let byte = match.upcoming else { return }
        view = (external.goesOn(with: byte) ? 1 : 2) * 3 + Int(flags[match.place & mask])
        strength = match.matched == 0 ? 1 : min(2 + match.matched / 4, 15)
    }
}

/// What the contexts of a flag are made of.
private struct FlagPlace {
    /// Of the bytes known of the token, and how many there are.
    var prefix: UInt64
    var depth: UInt64
    var match: MatchView
    var outside: ExternalInput
}

/// How often flags were true in many contexts.
private struct FlagEstimates {
    static let inputCount = 2 * count
    private static let lengths = [1, 2, 3, 4, 5, 6, 7, 8]
    private static let count = lengths.count + 10

    private let tables: MixTables
    private let bits: Int
    // [count, 2^bits], and the places in it that are in use.
    private let estimates: UnsafeMutablePointer<UInt32>
    private let used: UnsafeMutablePointer<Int>

    private static let limit: UInt32 = 255

    init(bits: Int, _ tables: MixTables, _ arena: Arena) {
        (self.bits, self.tables) = (bits, tables)
        estimates = arena.allocate(Self.count << bits)
        used = arena.allocate(Self.count)
    }

    func predict(_ place: FlagPlace, _ history: History, _ text: TextState, into inputs: UnsafeMutablePointer<Int16>) {
        var index = 0
        func add(_ hash: UInt64) {
            lookUp(hash, index, inputs + 2 * index)
            index += 1
        }
        for length in Self.lengths { add(Hash.combine(place.depth, history.lastBytes(length))) }
        let current = Hash.combine(text.word != 0 ? text.word : text.gap, place.depth)
        let afterLast = Hash.combine(current, text.words.0)
        add(current)
        add(afterLast)
        add(Hash.combine(afterLast, text.words.1))
        add(Hash.combine(current, text.words.1))
        add(Hash.combine(place.prefix, text.words.0))
        add(Hash.combine(text.shape & 0xFFFF, place.depth))
        add(place.prefix)
        let match = UInt64(place.match.view << 4 | place.match.strength)
        add(Hash.combine(place.prefix, match))
        add(UInt64(place.outside.rowClass << 8) | match)
        add(Hash.combine(place.prefix, UInt64(place.outside.stretched + MixTables.inputLimit + 1) >> 7))
    }

    private func lookUp(_ hash: UInt64, _ index: Int, _ inputs: UnsafeMutablePointer<Int16>) {
        let place = index << bits | Int(Hash.combine(UInt64(index), hash) >> UInt64(64 - bits))
        used[index] = place
        let state = estimates[place]
        // An estimate is worth the more the more it has seen; memory begins as zeros: nothing seen.
        let (seen, probability) = (Int32(state & 1023), state >> 16)
        let worth = (seen << 13) / (2 * seen + 3)
        inputs[0] = Int16(tables.stretch(probability) * worth >> 12)
        inputs[1] = Int16(((Int32(probability) - 32768) * worth) >> 17)
    }

    func update(_ bit: UInt32) {
        for index in 0..<Self.count {
            let state = estimates[used[index]]
            estimates[used[index]] = Estimate.updated(
                state & 1023 == 0 ? Estimate.start : state, bit, limit: Self.limit, tables)
        }
    }
}
