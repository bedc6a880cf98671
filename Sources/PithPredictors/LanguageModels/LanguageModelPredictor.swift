import PithCore
import PithModels
import PithTensor

/// A language model as a predictor of bits, for engines that mix it with models of their own.
///
/// Tokens lie in the order of their bytes: those that begin with the bits that are known make a range, whose two parts
/// say how likely the next bit is. Where a token may end and others go on, a flag says which. So the bits and flags of
/// a token together cost what the model gives for the token.
package struct LanguageModelPredictor: ExternalPredictor {
    private let ordered: OrderedSymbols
    private let alphabet: TokenAlphabet
    private let model: LanguageModel
    private let window: ContextWindow
    // The tokens that are coded, and those at hand, which are others as long as text is learnt that is not coded.
    private let coded: any TokenSource
    private var source: any TokenSource
    // Whether nothing is to be said of the tokens at hand.
    private var isSilent = false
    private var distribution: TokenDistribution

    // The places of the tokens that begin with what is known of the token; none behind the last one.
    private var places: Range<Int> = 0..<0
    /// Whole bytes known of the token.
    package private(set) var depth = 0
    /// The known bits of the next byte behind a one.
    private var bits = 1
    /// Where the tokens begin whose next bit is one.
    private var middle = 0
    /// Whether the first of the places may be the token.
    private var mayEnd = false

    /// A predictor for the encoder of `input`.
    package init(encoding input: [UInt8], with coding: CodingModel, window: Int = 1024) throws(PithError) {
        let alphabet = TokenAlphabet(coding)
        let ordered = OrderedSymbols(alphabet)
        let window = try ContextWindow(length: window, overlap: 0.25, of: coding.model)
        self.init(
            alphabet, ordered, coding.model, window, KnownTokens(input, alphabet, ordered, coding.model, window))
    }

    /// A predictor for a decoder.
    package init(decodingWith coding: CodingModel, window: Int = 1024) throws(PithError) {
        let alphabet = TokenAlphabet(coding)
        let ordered = OrderedSymbols(alphabet)
        let window = try ContextWindow(length: window, overlap: 0.25, of: coding.model)
        self.init(alphabet, ordered, coding.model, window, UnknownTokens(alphabet, ordered, coding.model, window))
    }

    private init(
        _ alphabet: TokenAlphabet, _ ordered: OrderedSymbols, _ model: LanguageModel, _ window: ContextWindow,
        _ coded: any TokenSource
    ) {
        (self.alphabet, self.ordered, self.model, self.window) = (alphabet, ordered, model, window)
        (self.coded, source) = (coded, coded)
        distribution = TokenDistribution(placeCount: ordered.symbols.count, vocabularySize: alphabet.vocabularySize)
    }

    package mutating func prime(_ bytes: ArraySlice<UInt8>) throws(PithError) {
        (source, isSilent) = (SilentTokens(CutText(Array(bytes), alphabet, ordered)), true)
        try beginToken(after: nil)
    }

    package mutating func rehearse(_ bytes: ArraySlice<UInt8>) throws(PithError) {
        (source, isSilent) = (KnownTokens(Array(bytes), alphabet, ordered, model, window), false)
        try beginToken(after: nil)
    }

    package mutating func begin() throws(PithError) {
        (source, isSilent) = (coded, false)
        try beginToken(after: nil)
    }

    private mutating func beginToken(after last: Int?) throws(PithError) {
        let isThere = try source.advance(after: last, &distribution)
        places = 0..<(isThere ? ordered.symbols.count : 0)
        (depth, bits, mayEnd) = (0, 1, false)
    }

    // MARK: Bits

    package var prediction: ExternalPrediction {
        mutating get {
            guard !places.isEmpty else { return .none }
            // The lowest byte that begins with the known bits and a one.
            let known = bits << 1 | 1
            let bound = known << (known.leadingZeroBitCount - (Int.bitWidth - 9)) & 255
            middle = ordered.split(places, depth: depth, bound: bound)
            return prediction(of: middle..<places.upperBound)
        }
    }

    package mutating func update(_ bit: Bool) {
        places = bit ? middle..<places.upperBound : places.lowerBound..<middle
        bits = bits << 1 | (bit ? 1 : 0)
    }

    package mutating func finishByte(_ byte: UInt8) throws(PithError) {
        guard !places.isEmpty else { throw .invalidStream("bytes that no token begins with") }
        (depth, bits) = (depth + 1, 1)
        mayEnd = ordered.byteCount(places.lowerBound) == depth
        if mayEnd, places.count == 1 { try beginToken(after: ordered.symbols[places.lowerBound]) }
    }

    // MARK: Flags

    package var isFlagDue: Bool { mayEnd }

    package var flag: ExternalPrediction {
        mayEnd ? prediction(of: places.lowerBound..<places.lowerBound + 1) : .none
    }

    package func goesOn(with byte: UInt8) -> Bool {
        let longer = places.lowerBound + 1..<places.upperBound
        let place = ordered.split(longer, depth: depth, bound: Int(byte))
        return place < longer.upperBound && ordered.byte(place, at: depth) == byte
    }

    package var flagToEncode: Bool { source.byteCount == depth }

    package mutating func updateFlag(_ bit: Bool) throws(PithError) {
        if bit {
            try beginToken(after: ordered.symbols[places.lowerBound])
        } else {
            places = places.lowerBound + 1..<places.upperBound
            mayEnd = false
        }
    }

    // MARK: Probabilities

    /// How likely it is that the token is in a part of the places.
    private func prediction(of part: Range<Int>) -> ExternalPrediction {
        guard !isSilent else { return .none }
        return ExternalPrediction(
            part: distribution.weight(part), of: distribution.weight(places), known: min(depth, 3))
    }
}
