import PithCore

/// A SentencePiece model: pieces with scores and kinds, and what is done to texts, in Google's protocol buffers. Source:
/// sentencepiece, `sentencepiece_model.proto`.
struct SentencePieceFile {
    /// The name of the file in a Hugging Face folder.
    static let fileName = "tokenizer.model"
    /// The extension of names.
    static let fileExtension = ".model"

    /// What a piece is for.
    private enum Kind: Int {
        case normal = 1, unknown, control, userDefined, unused, byte
    }

    /// How words are cut into pieces.
    private enum Method: Int {
        case unigram = 1, bytePairs, words, characters
    }

    private var vocabulary: TokenVocabulary
    private var scores: [Float] = []
    private var kinds: [Kind] = []
    private var method = Method.unigram
    private var description = PieceDescription()
    private var escapesSpaces = true

    init(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        // A piece has four bytes at least.
        vocabulary = try TokenVocabulary(
            capacity: min(bytes.count / 16, Tokenizer.tokenLimit), limit: bytes.count / 4)
        var message = ProtocolMessage(bytes)
        while let field = try message.next() {
            switch field {
            case (1, .bytes(let piece)): try readPiece(piece)
            case (2, .bytes(let trainer)): try readTrainer(trainer)
            case (3, .bytes(let normalizer)): try readNormalizer(normalizer)
            default: break
            }
        }
        guard !kinds.isEmpty else { throw .data("holds no pieces") }
        description.excluded = Set(
            kinds.indices.filter { [.control, .unused, .unknown].contains(kinds[$0]) })
        description.unknownToken = kinds.firstIndex(of: .unknown)
    }

    private mutating func readPiece(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        var (message, text, score, kind) = (
            ProtocolMessage(bytes), UnsafeRawBufferPointer(start: nil, count: 0), Float(0), 1
        )
        while let field = try message.next() {
            switch field {
            case (1, .bytes(let value)): text = value
            case (2, .word(let bits)): score = Float(bitPattern: bits)
            case (3, .number(let value)): kind = Int(clamping: value)
            default: break
            }
        }
        guard let kind = Kind(rawValue: kind), score.isFinite, String(validating: text, as: UTF8.self) != nil else {
            throw .data("is no proper piece", at: "piece \(kinds.count)")
        }
        try vocabulary.append(text.bindMemory(to: UInt8.self))
        scores.append(score)
        kinds.append(kind)
    }

    private mutating func readTrainer(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        var message = ProtocolMessage(bytes)
        while let field = try message.next() {
            switch field {
            case (3, .number(let value)):
                guard let method = Method(rawValue: Int(clamping: value)) else {
                    throw .data("the model type \(value) is not known")
                }
                self.method = method
            case (24, .number(let value)):
                guard value == 0 else { throw .data("treats spaces as suffixes, which is not supported") }
            case (35, .number(let value)): description.fallsBackToBytes = value != 0
            default: break
            }
        }
    }

    private mutating func readNormalizer(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        var message = ProtocolMessage(bytes)
        while let field = try message.next() {
            switch field {
            case (2, .bytes(let map)): description.characterMap = Array(map)
            case (3, .number(let value)): description.addsSpace = value != 0
            case (4, .number(let value)): description.removesExtraSpaces = value != 0
            case (5, .number(let value)): escapesSpaces = value != 0
            default: break
            }
        }
    }

    /// The tokenizer. Nothing is put around texts, which these files do not say.
    func tokenizer() throws(PithError) -> Tokenizer {
        guard escapesSpaces else { throw .data("leaves spaces as they are, which is not supported") }
        let added = kinds.indices.compactMap { number -> AddedToken? in
            guard [.control, .userDefined, .unknown].contains(kinds[number]), let text = vocabulary.text(number),
                !text.isEmpty
            else { return nil }
            return AddedToken(content: text, number: number, isSpecial: kinds[number] != .userDefined)
        }
        switch method {
        case .unigram:
            return try description.unigram(
                vocabulary, scores: scores.map { Double($0) }, added: added, postProcessor: nil)
        case .bytePairs:
            return try description.scored(vocabulary, scores: scores, added: added, postProcessor: nil)
        case .words, .characters:
            throw .data("the model type '\(method)' is not supported", remedy: "unigram and bpe are")
        }
    }
}

/// The fields of a message in protocol buffers, in order.
private struct ProtocolMessage {
    enum Value {
        case number(UInt64)
        case word(UInt32)
        case bytes(UnsafeRawBufferPointer)
        case other
    }

    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next field; nil at the end.
    mutating func next() throws(PithError) -> (field: Int, value: Value)? {
        guard offset < bytes.count else { return nil }
        let key = try number()
        let field = Int(key >> 3)
        switch key & 7 {
        case 0: return (field, .number(try number()))
        case 1:
            _ = try take(8)
            return (field, .other)
        case 2: return (field, .bytes(try take(try number())))
        case 5: return (field, .word(UInt32(littleEndian: try take(4).loadUnaligned(as: UInt32.self))))
        default: throw .data("is no SentencePiece model", at: "byte \(offset)")
        }
    }

    private mutating func number() throws(PithError) -> UInt64 {
        var (value, shift) = (UInt64(0), UInt64(0))
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .data("is no SentencePiece model", at: "byte \(offset)")
    }

    private mutating func take(_ count: UInt64) throws(PithError) -> UnsafeRawBufferPointer {
        guard count <= UInt64(bytes.count - offset) else {
            throw .data("is no SentencePiece model, or ends early", at: "byte \(offset)")
        }
        defer { offset += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
    }
}

extension Tokenizer {
    /// Reads a SentencePiece model.
    public init(sentencePiece path: String) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do {
            self = try region.withBytes { (bytes) throws(PithError) in try SentencePieceFile(bytes).tokenizer() }
        } catch { throw error.within(path) }
    }
}
