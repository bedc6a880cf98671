/// Which rows of weights the mixer uses: each set is selected by another view of the place.
struct MixerSelection {
    /// Rows of each set of the first and the second layer.
    let sets: [Int]
    let finalSets: [Int]
    private let isText: Bool
    private let isBest: Bool
    private let hasInstructions: Bool
    private let width: Int
    // Of the next byte.
    private var last = 0
    private var beforeLast = 0
    private var wordClass = 0
    private var kinds = 0
    private var pairClass = 0
    private var wordHash = 0
    private var columnClass = 0
    private var sentenceClass = 0
    private var views = TextViews()
    // Where the sets begin that text and other data have for themselves.
    private let ownStart: Int
    // Where the sets of the language model and of the network are, if there are these.
    private let externalStart: Int?
    private let networkStart: Int?

    private static let viewBits = 12

    init(_ settings: MixSettings, hasExternal: Bool, hasNetwork: Bool) {
        isText = settings.content == .text
        isBest = settings.effort == .best
        hasInstructions = settings.content.isX86
        width = settings.content == .text ? 0 : settings.width
        let common = [256 * 3, 256 * 8, 8 * 8 * 3, 2048, 4096, 2048]
        let own =
            isText
            ? [Int](repeating: 1 << Self.viewBits, count: TextViews.count)
            : [256, 16 * 8, 1024, 256, 2048, 1024] + [Int](repeating: 1 << Self.viewBits, count: isBest ? 3 : 0)
        ownStart = common.count
        let end = ownStart + own.count
        externalStart = hasExternal ? end : nil
        networkStart = hasNetwork ? end + (hasExternal ? 1 : 0) : nil
        sets = common + own + (hasExternal ? [32 * 9] : []) + (hasNetwork ? [32] : [])
        finalSets = [256, 16 * 3, 32, 64 * 8, 128] + (hasNetwork ? [32] : [])
    }

    mutating func beginByte(_ history: History, _ text: TextState, _ instructions: InstructionContexts) {
        last = Int(history.byte(1))
        beforeLast = Int(history.byte(2))
        pairClass = Int(Hash.combine(5, history.lastBytes(2)) >> 53)
        wordHash = Int(Hash.combine(6, text.word == 0 ? text.words.0 : text.word) >> 56)
        if isText {
            wordClass = min(text.wordLength, 15) << 4 | Int(text.lengths & 15)
            kinds = Int(text.shape & 0xFFF)
            columnClass = min(text.column, 127)
            views = TextViews(text, history)
        } else {
            wordClass = Int(history.byte(3))
            kinds =
                (last >> 5) << 9 | (beforeLast >> 5) << 6 | Int(history.byte(3) >> 5) << 3 | Int(history.byte(4) >> 5)
            columnClass = width > 0 ? min(history.position % width, 127) : Int(history.byte(4) >> 1)
            sentenceClass = width > 0 ? Int(history.byte(width) >> 2) : history.position & 3
        }
        guard hasInstructions else { return }
        kinds = instructions.partClass << 7 | instructions.opcodeClass >> 1
        columnClass = instructions.partClass << 2 | history.position & 3
        sentenceClass = instructions.opcodeClass >> 1
        wordHash = Int(instructions.view >> 56)
    }

    @inline(__always)
    func select(
        _ history: History, _ text: TextState, _ matches: MatchModels, _ known: Int, _ external: ExternalInput,
        _ network: ExternalInput, _ mixer: inout Mixer
    ) {
        let (partial, bit) = (history.partial, history.bitIndex)
        let match = matches.best
        let expected = match.bit
        mixer.select(0, partial &* 3 &+ expected)
        mixer.select(1, last &* 8 &+ bit)
        mixer.select(2, (known &* 8 &+ bit) &* 3 &+ expected)
        mixer.select(3, wordClass &* 8 &+ bit)
        mixer.select(4, kinds)
        mixer.select(5, pairClass)
        if isText { selectViews(partial, &mixer) } else { selectOthers(history, match, bit, &mixer) }
        mixer.selectFinal(0, partial)
        mixer.selectFinal(1, match.strength &* 3 &+ expected)
        mixer.selectFinal(2, external.rowClass)
        mixer.selectFinal(3, (kinds & 63) &* 8 &+ bit)
        mixer.selectFinal(4, columnClass)
        if let externalStart {
            mixer.select(externalStart, external.rowClass &* 9 &+ (external.rowClass == 0 ? 0 : bit))
        }
        if let networkStart {
            mixer.select(networkStart, network.rowClass)
            mixer.selectFinal(5, network.rowClass)
        }
    }

    /// The row of a view, given a one and the bits of the byte that are known.
    @inline(__always)
    private func row(_ view: UInt64, _ partial: Int) -> Int {
        Int(Hash.combine(view, UInt64(partial)) &>> UInt64(64 &- Self.viewBits))
    }

    @inline(__always)
    private func selectViews(_ partial: Int, _ mixer: inout Mixer) {
        mixer.select(ownStart, row(views.kinds, partial))
        mixer.select(ownStart &+ 1, row(views.shape, partial))
        mixer.select(ownStart &+ 2, row(views.pair, partial))
        mixer.select(ownStart &+ 3, row(views.letter, partial))
        mixer.select(ownStart &+ 4, row(views.runs, partial))
        mixer.select(ownStart &+ 5, row(views.column, partial))
    }

    @inline(__always)
    private func selectOthers(_ history: History, _ match: MatchModel, _ bit: Int, _ mixer: inout Mixer) {
        mixer.select(ownStart, beforeLast)
        mixer.select(ownStart &+ 1, match.strength &* 8 &+ bit)
        mixer.select(ownStart &+ 2, sentenceClass &* 16 &+ match.strength)
        mixer.select(ownStart &+ 3, match.expectation ?? 0)
        mixer.select(ownStart &+ 4, wordHash &* 8 &+ bit)
        mixer.select(ownStart &+ 5, columnClass &* 8 &+ bit)
        guard isBest else { return }
        let partial = history.partial
        mixer.select(ownStart &+ 6, row(history.last & 0xFF, partial))
        mixer.select(ownStart &+ 7, row(history.last & 0xFF00, partial))
        mixer.select(ownStart &+ 8, row(UInt64(match.expectation ?? 256) << 4 | UInt64(match.strength), partial))
    }
}

/// Views of a place in text: with the bits of the byte that are known, each selects a row of weights.
private struct TextViews {
    static let count = 6

    /// Kinds of the last two characters, and of the last five.
    private(set) var kinds: UInt64 = 0
    private(set) var shape: UInt64 = 0
    /// The last byte and the group of the one before.
    private(set) var pair: UInt64 = 0
    /// The first letter while a word is short, and its length.
    private(set) var letter: UInt64 = 0
    /// Kinds of the last four runs.
    private(set) var runs: UInt64 = 0
    /// Where in the line: in text with lines of one length it tells where they end.
    private(set) var column: UInt64 = 0

    init() {}

    init(_ text: TextState, _ history: History) {
        let length = UInt64(text.wordLength)
        kinds = Hash.combine(1, text.shape & 0xFF)
        shape = Hash.combine(2, text.shape & 0xF_FFFF)
        pair = Hash.combine(3, history.lastBytes(2) & 0xE0FF)
        letter = Hash.combine(length < 4 ? UInt64(text.firstLetter) : 0, min(length, 6))
        runs = Hash.combine(4, text.runs & 0xFFFF)
        column = Hash.combine(5, UInt64(min(text.column, 255)))
    }
}
