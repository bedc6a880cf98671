/// A text as the symbols of an alphabet, cut piece by piece.
struct CutText: Sendable {
    private let input: [UInt8]
    private let alphabet: TokenAlphabet
    private let ordered: OrderedSymbols
    // Where the next piece of the input begins.
    private var start = 0
    /// The symbols of the piece at hand, and the place of the current one among them.
    private(set) var symbols: [Int] = []
    private(set) var index = -1

    init(_ input: [UInt8], _ alphabet: TokenAlphabet, _ ordered: OrderedSymbols) {
        (self.input, self.alphabet, self.ordered) = (input, alphabet, ordered)
    }

    /// Goes on to the next symbol; false behind the last. `index` is 0 at the first of a piece.
    mutating func advance() -> Bool {
        index += 1
        guard index == symbols.count else { return true }
        guard start < input.count else { return false }
        let end = TokenAlphabet.endOfPiece(from: start, in: input[...])
        symbols = alphabet.symbols(of: input[start..<end]).map { ordered.representatives[$0] }
        (start, index) = (end, 0)
        return true
    }

    /// How many bytes the current symbol has; nil behind the last.
    var byteCount: Int? { symbols.indices.contains(index) ? alphabet.byteCount(of: symbols[index]) : nil }
}
