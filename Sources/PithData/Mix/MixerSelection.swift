/// Which rows of weights the mixer uses: each set is selected by another view of the place.
struct MixerSelection {
    /// Rows of each set of the first and the second layer.
    let sets: [Int]
    let finalSets: [Int]
    private let isText: Bool
    private let width: Int
    // Of the next byte.
    private var last = 0
    private var beforeLast = 0
    private var wordClass = 0
    private var kinds = 0
    private var columnClass = 0
    private var sentenceClass = 0

    init(_ settings: MixSettings) {
        isText = settings.content == .text
        width = settings.content == .text ? 0 : settings.width
        sets = [8, 256 * 3, 256 * 8, 256, 16 * 8, 8 * 8 * 3, 2048, 1024, 32 * 9, 1024, 256, 4096]
        finalSets = [256, 16 * 3, 32, 64 * 8]
    }

    mutating func beginByte(_ history: History, _ text: TextState) {
        last = Int(history.byte(1))
        beforeLast = Int(history.byte(2))
        if isText {
            wordClass = min(text.wordLength, 15) << 4 | Int(text.lengths & 15)
            kinds = Int(text.shape & 0xFFF)
            columnClass = min(text.column, 127)
            sentenceClass =
                min(text.sentenceLength, 15) << 2
                | min(Int(text.open & 255 == 0 ? 0 : 1) + (text.capitals & 1 == 1 ? 2 : 0), 3)
        } else {
            wordClass = Int(history.byte(3))
            kinds =
                (last >> 5) << 9 | (beforeLast >> 5) << 6 | Int(history.byte(3) >> 5) << 3 | Int(history.byte(4) >> 5)
            columnClass = width > 0 ? min(history.position % width, 127) : Int(history.byte(4) >> 1)
            sentenceClass = width > 0 ? Int(history.byte(width) >> 2) : history.position & 3
        }
    }

    @inline(__always)
    func select(
        _ history: History, _ text: TextState, _ matches: MatchModels, _ known: Int, _ external: ExternalInput,
        _ mixer: inout Mixer
    ) {
        let (partial, bit) = (history.partial, history.bitIndex)
        let match = matches.best
        let expected = match.bit
        let expectedByte = match.expectation ?? 0
        mixer.select(0, bit)
        mixer.select(1, partial &* 3 &+ expected)
        mixer.select(2, last &* 8 &+ bit)
        mixer.select(3, beforeLast)
        mixer.select(4, match.strength &* 8 &+ bit)
        mixer.select(5, (known &* 8 &+ bit) &* 3 &+ expected)
        mixer.select(6, wordClass &* 8 &+ bit)
        mixer.select(7, columnClass &* 8 &+ bit)
        mixer.select(8, external.rowClass &* 9 &+ (external.rowClass == 0 ? 0 : bit))
        mixer.select(9, sentenceClass &* 16 &+ match.strength)
        mixer.select(10, expectedByte)
        mixer.select(11, kinds)
        mixer.selectFinal(0, partial)
        mixer.selectFinal(1, match.strength &* 3 &+ expected)
        mixer.selectFinal(2, external.rowClass)
        mixer.selectFinal(3, (kinds & 63) &* 8 &+ bit)
    }
}
