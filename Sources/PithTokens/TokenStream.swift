import PithCore
import PithFormats

/// A way from documents to the tokens that a model is trained on, and back.
public struct TokenStream: Sendable {
    private enum Coder: Sendable {
        /// Windows, each in so many tokens of `tokenBits` bits.
        case windows(EqualInfoWindows, tokenBits: Int)
        /// One stream, in tokens of `tokenBits` bits.
        case arithmetic(ArithmeticTokens, tokenBits: Int)
        /// Tokens in chunks of at most `chunk`, each shortened for itself if there are meta-tokens.
        case tokenizer(Tokenizer, chunk: Int, meta: MetaTokens?)
    }

    private let coder: Coder
    /// One more than the highest token.
    public let vocabularySize: Int
    /// Stands before each document, or each chunk of one, and at the end.
    private let separator: Int32

    /// Windows whose bits are cut into tokens of `tokenBits` bits.
    public init(_ windows: EqualInfoWindows, tokenBits: Int) throws(PithError) {
        guard (1...16).contains(tokenBits), windows.bits % tokenBits == 0 else {
            throw .usage(
                "tokens of \(tokenBits) bits for windows of \(windows.bits)",
                remedy: "they should have 1…16 bits and divide a window")
        }
        coder = .windows(windows, tokenBits: tokenBits)
        separator = 1 << Int32(tokenBits)
        vocabularySize = Int(separator) + 1
    }

    /// One arithmetic-coded stream for each document, cut into tokens of `tokenBits` bits. They cannot be decoded
    /// without their documents' sizes.
    public init(_ arithmetic: ArithmeticTokens, tokenBits: Int) throws(PithError) {
        guard (1...16).contains(tokenBits) else {
            throw .usage("tokens of \(tokenBits) bits", remedy: "they should have 1…16")
        }
        coder = .arithmetic(arithmetic, tokenBits: tokenBits)
        separator = 1 << Int32(tokenBits)
        vocabularySize = Int(separator) + 1
    }

    /// The tokens of a tokenizer in chunks; with `metaTokens` above 0 each chunk is shortened.
    public init(
        _ tokenizer: Tokenizer, chunk: Int, metaTokens: Int, longestRun: Int = 32
    ) throws(PithError) {
        guard (2...1 << 20).contains(chunk) else {
            throw .usage("chunks of \(chunk) tokens", remedy: "there should be 2…1048576")
        }
        let meta =
            metaTokens == 0
            ? nil
            : try MetaTokens(
                vocabularySize: tokenizer.vocabularySize, metaTokenCount: metaTokens, longestRun: longestRun)
        coder = .tokenizer(tokenizer, chunk: chunk, meta: meta)
        separator = try TokenizedText.separator(of: tokenizer)
        vocabularySize = meta?.extendedVocabularySize ?? tokenizer.vocabularySize
    }

    /// The tokens of a text.
    public func encode(_ text: TrainingText) throws(PithError) -> TokenizedText {
        var tokens: [Int32] = []
        for document in text.documents {
            for part in try parts(of: document) { tokens += [separator] + part }
        }
        return TokenizedText(tokens: tokens + [separator], byteCount: text.byteCount)
    }

    private func parts(of document: String) throws(PithError) -> [[Int32]] {
        switch coder {
        case .windows(let windows, let tokenBits):
            let mask = UInt32(1) << UInt32(tokenBits) - 1
            let shifts = stride(from: windows.bits - tokenBits, through: 0, by: -tokenBits)
            return [
                windows.encode(Array(document.utf8)).flatMap { window in
                    shifts.map { Int32(window >> UInt32($0) & mask) }
                }
            ]
        case .arithmetic(let arithmetic, let tokenBits):
            return [Self.regrouped(arithmetic.encode(Array(document.utf8)), tokenBits: tokenBits)]
        case .tokenizer(let tokenizer, let chunk, let meta):
            let tokens = tokenizer.encode(document, .plain).map { Int32($0) }
            var parts: [[Int32]] = []
            for start in stride(from: 0, to: tokens.count, by: chunk) {
                let part = Array(tokens[start..<min(start + chunk, tokens.count)])
                parts.append(try meta?.compress(part) ?? part)
            }
            return parts
        }
    }

    /// A stream of bytes in tokens of so many bits, the highest first; zeros fill the last.
    private static func regrouped(_ bytes: [UInt8], tokenBits: Int) -> [Int32] {
        let width = UInt32(tokenBits)
        var (tokens, pending, count) = ([Int32](), UInt32(0), UInt32(0))
        for byte in bytes {
            (pending, count) = (pending << 8 | UInt32(byte), count + 8)
            while count >= width {
                count -= width
                tokens.append(Int32(pending >> count))
                pending &= 1 << count - 1
            }
        }
        if count > 0 { tokens.append(Int32(pending << (width - count))) }
        return tokens
    }

    /// The bytes of what stands between separators: documents, or chunks of them, which belong together.
    public func decode(_ tokens: [Int32]) throws(PithError) -> [[UInt8]] {
        if let wrong = tokens.first(where: { !(0..<Int32(vocabularySize)).contains($0) }) {
            throw .data("token \(wrong) is outside the vocabulary of \(vocabularySize)")
        }
        let parts = tokens.split(separator: separator).map { Array($0) }
        guard case .tokenizer(let tokenizer, _, let meta) = coder else {
            var documents: [[UInt8]] = []
            for part in parts { documents.append(try bytes(of: part)) }
            return documents
        }
        // A character may lie in two chunks: the second gets it whole.
        var (decoder, chunks) = (StreamingDecoder(tokenizer, skippingSpecialTokens: false), [[UInt8]]())
        for part in parts {
            chunks.append((try meta?.expand(part) ?? part).flatMap { Array(decoder.push(Int($0)).utf8) })
        }
        if let last = chunks.indices.last { chunks[last] += Array(decoder.finish().utf8) }
        return chunks
    }

    /// The bytes of a document.
    private func bytes(of part: [Int32]) throws(PithError) -> [UInt8] {
        switch coder {
        case .windows(let windows, let tokenBits):
            let perWindow = windows.bits / tokenBits
            guard part.count % perWindow == 0 else {
                throw .data("\(part.count) tokens are no whole windows", remedy: "a window takes \(perWindow)")
            }
            return try windows.decode(
                stride(from: 0, to: part.count, by: perWindow).map { start in
                    part[start..<start + perWindow].reduce(0) { $0 << UInt32(tokenBits) | UInt32($1) }
                })
        case .arithmetic:
            throw .usage(
                "tokens of one arithmetic-coded stream do not say where it ends", remedy: "decode equal-info tokens")
        case .tokenizer: return []
        }
    }
}
