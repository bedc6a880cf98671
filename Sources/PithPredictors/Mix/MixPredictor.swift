import PithCoding
import PithCore

/// Predicts the bits of a run of bytes: all models, the mixer and the stages behind it.
struct MixPredictor<External: ExternalPredictor> {
    private(set) var history: History
    private(set) var external: External
    private let settings: MixSettings
    private let tables: MixTables
    private var mixer: Mixer
    private var bank: ContextBank
    private var counters: ContextCounters
    private let frequent: FrequentContexts
    private var bilevel: BilevelModel
    private let bilevelStart: Int
    private var text: TextState
    private var matches: MatchModels
    private let orders: OrderContexts
    private let words: WordContexts
    private let layout: LayoutContexts
    private let sparse: SparseContexts
    private let distances: DistanceContexts
    private let indirect: IndirectContexts
    private let records: RecordContexts
    private var instructions: InstructionContexts
    private let pictures: PictureContexts
    private let sounds: SoundContexts
    private var refinements: RefinementStage
    private var selection: MixerSelection
    private var flags: FlagModel
    private var externalInput: ExternalInput
    private var network: ByteNetworkPredictor?
    private var networkInput: ExternalInput
    private let networkStart: Int
    /// Notes where bits go, if anyone asked.
    var trace: MixTrace?
    private let bankStart: Int
    // Whether the stages that weigh predictions learn.
    private var weighs = true

    /// Bytes of the primer of which a predictor from outside tells all.
    static var rehearsed: Int { 40_000 }

    /// A predictor for about `count` bytes.
    init(
        _ settings: MixSettings, count: Int, _ external: consuming External, network: ByteNetworkPredictor?,
        _ arena: Arena
    ) {
        let (tables, size) = (MixTables(arena), MixSize(settings, count: count))
        self.settings = settings
        self.tables = tables
        self.external = external
        self.network = network
        history = History(size: count, arena)
        text = TextState(arena)
        matches = MatchModels(settings, bits: size.matchBits, tables, arena)
        orders = OrderContexts(settings)
        words = WordContexts(settings)
        layout = LayoutContexts(settings)
        sparse = SparseContexts(settings)
        distances = DistanceContexts(settings, arena)
        indirect = IndirectContexts(settings, arena)
        records = RecordContexts(settings)
        instructions = InstructionContexts(settings, arena)
        pictures = PictureContexts(settings)
        sounds = SoundContexts(settings)
        let isText = settings.hasWords
        let contexts =
            orders.count + (isText ? words.count + layout.count : 0) + sparse.count + distances.count
            + indirect.count + records.count + instructions.count + pictures.count + sounds.count
        bank = ContextBank(
            count: contexts, ordered: min(orders.count, 7),
            slots: SlotTable(size: size.slotBytes(contexts: contexts), arena),
            tables, arena)
        frequent = FrequentContexts(settings)
        bilevel = BilevelModel(settings, countBits: size.countBits, tables, arena)
        counters = ContextCounters(count: frequent.count, bits: size.counterBits, tables, arena)
        bankStart = 1 + ExternalInput.count + MatchModels.inputCount + frequent.count * ContextCounters.inputsPerContext
        bilevelStart = bankStart + contexts * ContextBank.inputsPerContext
        networkStart = bilevelStart + BilevelModel.inputCount(settings)
        let hasExternal = External.self != NoPredictor.self
        selection = MixerSelection(settings, hasExternal: hasExternal, hasNetwork: network != nil)
        mixer = Mixer(
            inputCount: networkStart + (network == nil ? 0 : ExternalInput.count), sets: selection.sets,
            finalSets: selection.finalSets, initialWeight: network == nil ? 250 : 150,
            // Models that were trained know much where contexts know little yet.
            ownWeights: network == nil ? [:] : hasExternal ? [1: 8000, networkStart: 6000] : [networkStart: 10000],
            tables, arena)
        externalInput = ExternalInput(bits: hasExternal ? size.refinementBits : 0, tables, arena)
        networkInput = ExternalInput(bits: network == nil ? 0 : size.refinementBits, tables, arena)
        refinements = RefinementStage(bits: size.refinementBits, tables, arena)
        flags = FlagModel(bits: hasExternal ? size.flagBits : 1, history, tables, arena)
        beginByte()
    }

    /// The probability that the next bit is one, of 2¹⁶, in 1..<2¹⁶.
    mutating func predict() -> UInt32 {
        let inputs = mixer.inputs
        inputs[0] = 256
        externalInput.predict(external.prediction, history, history.partial, into: inputs + 1)
        matches.predict(history, into: inputs + 1 + ExternalInput.count)
        counters.predict(into: inputs + 1 + ExternalInput.count + MatchModels.inputCount)
        bank.predict(history.partial, history.bitIndex, into: inputs + bankStart)
        if settings.content == .image1 { bilevel.predict(history, into: inputs + bilevelStart) }
        if network != nil {
            networkInput.predict(
                weighs ? network!.prediction : .none, history, history.partial, into: inputs + networkStart)
        }
        trace?.predict(inputs, history)
        selection.select(history, text, matches, bank.known, externalInput, networkInput, &mixer)
        return UInt32(refinements.refine(mixer.predict(), history, matches, externalInput))
    }

    /// Learns the bit that was predicted; true at the end of a byte.
    mutating func update(_ bit: UInt32) throws(PithError) -> Bool {
        if weighs {
            mixer.update(bit)
            refinements.update(bit)
        }
        matches.update(bit)
        bank.update(bit)
        counters.update(bit)
        if settings.content == .image1 { bilevel.update(bit) }
        external.update(bit == 1)
        externalInput.update(bit)
        if weighs {
            network?.update(bit == 1)
            networkInput.update(bit)
        }
        let isWhole = history.append(bit)
        if isWhole {
            let byte = history.finishByte()
            bank.finishByte(byte)
            text.read(history)
            matches.beginByte(history)
            try external.finishByte(byte)
            if weighs { network?.finishByte(byte) }
            if !external.isFlagDue { beginByte() }
        } else if history.bitIndex == 4 {
            bank.beginSecondHalf(history.partial)
            counters.beginSecondHalf(history.partial)
        }
        return isWhole
    }

    /// The mixer's inputs by family of models.
    private var families: [MixTrace.Family] {
        var (start, result) = (1, [MixTrace.Family]())
        func add(_ name: String, _ count: Int) {
            result.append(MixTrace.Family(name: name, inputs: start..<start + count))
            start += count
        }
        add("language model", ExternalInput.count)
        // Without one its inputs say nothing.
        if External.self == NoPredictor.self { result = [] }
        add("match", MatchModels.inputCount)
        add("counters", frequent.count * ContextCounters.inputsPerContext)
        let hasWords = settings.hasWords
        let contexts = [
            ("orders", orders.count), ("words", hasWords ? words.count : 0), ("layout", hasWords ? layout.count : 0),
            ("sparse", sparse.count), ("distances", distances.count), ("indirect", indirect.count),
            ("records", records.count), ("instructions", instructions.count), ("picture", pictures.count),
            ("sound", sounds.count),
        ]
        for (name, count) in contexts { add(name, count * ContextBank.inputsPerContext) }
        add("bilevel", BilevelModel.inputCount(settings))
        if network != nil { add("network", ExternalInput.count) }
        return result
    }

    /// Begins to note where bits go.
    mutating func begin(_ trace: CodingTrace, _ arena: Arena) { self.trace = MixTrace(trace, families, tables, arena) }

    /// Learns some bytes before the first that is coded. A predictor from outside only cuts the first of them into
    /// tokens, since it is slow: the mixer would learn to do without it, and learns from the last ones alone.
    mutating func prime(_ bytes: ArraySlice<UInt8>) throws(PithError) {
        let isHelped = External.self != NoPredictor.self || network != nil
        let silent = isHelped ? bytes.dropLast(Self.rehearsed) : bytes.prefix(0)
        try external.prime(silent)
        weighs = false
        try learn(silent)
        weighs = true
        try external.rehearse(bytes.dropFirst(silent.count))
        try learn(bytes.dropFirst(silent.count))
        try external.begin()
    }

    private mutating func learn(_ bytes: ArraySlice<UInt8>) throws(PithError) {
        for byte in bytes {
            for shift in (0..<8).reversed() {
                _ = predict()
                _ = try update(UInt32(byte) >> UInt32(shift) & 1)
            }
            while predictFlag() != nil { try updateFlag(flagToEncode) }
        }
    }

    /// The contexts of the next byte.
    private mutating func beginByte() {
        // Where a token begins other bytes follow than within one.
        if External.self != NoPredictor.self { bank.side = external.depth == 0 ? 1 : 0 }
        frequent.add(text, history, to: &counters)
        orders.add(history, to: &bank)
        if settings.hasWords {
            words.add(text, history, to: &bank)
            layout.add(text, history, to: &bank)
        }
        sparse.add(history, to: &bank)
        distances.add(history, to: &bank)
        indirect.add(history, to: &bank)
        records.add(history, to: &bank)
        instructions.add(history, to: &bank)
        pictures.add(history, to: &bank)
        sounds.add(history, to: &bank)
        if settings.content == .image1 { bilevel.beginByte(history) }
        bank.beginByte()
        selection.beginByte(history, text, instructions)
    }

    /// The probability of the flag that is due, of 2¹⁶; nil if none is.
    mutating func predictFlag() -> UInt32? {
        guard external.isFlagDue else { return nil }
        return flags.predict(external.flag, history, text, matches, external)
    }

    /// What the flag is; for the encoder.
    var flagToEncode: Bool { mutating get { external.flagToEncode } }

    /// Learns a flag.
    mutating func updateFlag(_ bit: Bool) throws(PithError) {
        flags.update(bit ? 1 : 0, weighs: weighs)
        try external.updateFlag(bit)
        if !external.isFlagDue { beginByte() }
    }
}

extension MixSettings {
    /// Whether contexts of words make sense: programs have words in them.
    var hasWords: Bool { content == .text || content.isBinary && effort == .best }
}

/// How large tables are.
package struct MixSize {
    private let settings: MixSettings
    private let count: Int
    let countBits: Int

    /// For about `count` bytes.
    package init(_ settings: MixSettings, count: Int) {
        self.settings = settings
        self.count = count
        countBits = Int.bitWidth - max(count, 16).leadingZeroBitCount
    }

    /// Of the table of contexts, in bytes: what each context fills at most, up to a bound.
    package func slotBytes(contexts: Int) -> Int {
        min(max(min(count, 1 << 30) * contexts * 20, 1 << 14), settings.effort == .best ? 1100 << 20 : 384 << 20)
    }
    var counterBits: Int { min(max(countBits + 7, 12), settings.effort == .best ? 28 : 27) }
    var matchBits: Int { min(max(countBits, 8), 22) }
    var flagBits: Int { min(max(countBits, 10), 20) }
    /// What the flags of a language model take besides, in bytes.
    var flagMemory: Int { FlagModel.memory(bits: flagBits) }
    var refinementBits: Int { min(max(countBits - 2, 8), 18) }
}

extension MixSize {
    /// About how many bytes an engine takes.
    var memory: Int {
        let tables = slotBytes(contexts: 64) + (1 << counterBits)
        return tables + (3 << (matchBits + 2)) + (140 << refinementBits) + (40 << 20)
    }
}
