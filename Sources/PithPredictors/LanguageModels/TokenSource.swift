import PithCore
import PithModels
import PithTensor

/// Gives the tokens of a text one after the other, or learns them, and what a model predicts of each.
protocol TokenSource: AnyObject {
    /// Goes on to the next symbol and fills in its distribution; `last` is the one before it, nil at the beginning.
    /// False behind the last symbol.
    func advance(after last: Int?, _ distribution: inout TokenDistribution) throws(PithError) -> Bool

    /// How many bytes the symbol has; nil if that is not known.
    var byteCount: Int? { get }
}

/// A text that is cut into tokens of which nothing is predicted.
final class SilentTokens: TokenSource {
    private var text: CutText

    init(_ text: CutText) { self.text = text }

    var byteCount: Int? { text.byteCount }

    func advance(after last: Int?, _ distribution: inout TokenDistribution) -> Bool { text.advance() }
}

/// The encoder's source: a text that is there, of which many tokens are read at once.
final class KnownTokens: TokenSource {
    private var text: CutText
    private let alphabet: TokenAlphabet
    private let ordered: OrderedSymbols
    private let predictor: TokenPredictor
    private var context: SlidingContext
    // The hidden states that predict the symbols from `firstHidden` on, and the logits of those from `firstRow` on.
    private var (hidden, firstHidden) = (Tensor(rows: 0, columns: 0), 0)
    private var (logits, firstRow) = (Tensor(rows: 0, columns: 0), 0)

    private static let rowsTogether = 64

    init(
        _ input: [UInt8], _ alphabet: TokenAlphabet, _ ordered: OrderedSymbols, _ model: LanguageModel,
        _ window: ContextWindow
    ) {
        (text, self.alphabet, self.ordered) = (CutText(input, alphabet, ordered), alphabet, ordered)
        predictor = TokenPredictor(model)
        context = SlidingContext(model, window: window, beginToken: alphabet.beginToken)
    }

    var byteCount: Int? { text.byteCount }

    func advance(after last: Int?, _ distribution: inout TokenDistribution) throws(PithError) -> Bool {
        guard text.advance() else { return false }
        let index = text.index
        if index == 0 { forgetRows() }
        if index == firstHidden + hidden.rows { try readBlock(from: index) }
        if index == firstRow + logits.rows {
            firstRow = index
            let first = index - firstHidden
            logits = try predictor.logits(of: hidden, rows: first..<min(first + Self.rowsTogether, hidden.rows))
        }
        try distribution.fill(logits, row: index - firstRow, ordered)
        return true
    }

    private func forgetRows() {
        (hidden, firstHidden) = (Tensor(rows: 0, columns: 0), 0)
        (logits, firstRow) = (Tensor(rows: 0, columns: 0), 0)
    }

    /// Reads as many symbols as find room in the model's window.
    private func readBlock(from index: Int) throws(PithError) {
        let block = text.symbols[index...].prefix(context.makeRoom(predictor.model))
        hidden = try predictor.hiddenStates(predicting: block.map(alphabet.token), &context)
        firstHidden = index
        (logits, firstRow) = (Tensor(rows: 0, columns: 0), index)
    }
}

/// The decoder's source: tokens that become known one by one.
final class UnknownTokens: TokenSource {
    private let alphabet: TokenAlphabet
    private let ordered: OrderedSymbols
    private let predictor: TokenPredictor
    private var contexts: [SlidingContext]

    init(_ alphabet: TokenAlphabet, _ ordered: OrderedSymbols, _ model: LanguageModel, _ window: ContextWindow) {
        (self.alphabet, self.ordered, predictor) = (alphabet, ordered, TokenPredictor(model))
        contexts = [SlidingContext(model, window: window, beginToken: alphabet.beginToken)]
    }

    var byteCount: Int? { nil }

    func advance(after last: Int?, _ distribution: inout TokenDistribution) throws(PithError) -> Bool {
        if let last { contexts[0].append(alphabet.token(of: last)) }
        contexts[0].makeRoom(predictor.model)
        try distribution.fill(try predictor.nextLogits(&contexts), row: 0, ordered)
        return true
    }
}
