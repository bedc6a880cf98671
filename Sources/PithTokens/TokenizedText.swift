import PithCore
import PithFormats
import PithTensor

/// The tokens of a text: each document after a separator, one more separator at the end.
public struct TokenizedText: Sendable {
    /// The tokens.
    public var tokens: [Int32]
    /// Bytes of the documents that they stand for.
    public var byteCount: Int

    /// Encodes a text; documents are shared among the threads.
    public init(
        _ text: TrainingText, tokenizer: Tokenizer, pool: ThreadPool, quiet: Bool = false
    ) throws(PithError) {
        let separator = try Self.separator(of: tokenizer)
        byteCount = text.byteCount
        var parts: [[Int32]] = []
        var progress = Progress("Encoding", total: byteCount, quiet: quiet)
        var (start, done) = (0, 0)
        // In rounds, so that progress can be told.
        while start < text.documents.count {
            var (end, size) = (start, 0)
            while end < text.documents.count, size < 1 << 21 {
                size += text.documents[end].utf8.count
                end += 1
            }
            parts += pool.map(end - start) { [start] index in
                tokenizer.encode(text.documents[start + index], .written).map { Int32($0) }
            }
            (start, done) = (end, done + size)
            progress.update(done)
        }
        progress.finish()
        tokens = [separator]
        tokens.reserveCapacity(parts.reduce(1) { $0 + $1.count + 1 })
        for part in parts {
            tokens += part
            tokens.append(separator)
        }
    }

    /// Tokens that stand for `byteCount` bytes.
    public init(tokens: [Int32], byteCount: Int) {
        self.tokens = tokens
        self.byteCount = byteCount
    }

    /// The entropy of how often each token occurs, in nats a token.
    public var entropy: Double {
        var counts: [Int32: Int] = [:]
        for token in tokens { counts[token, default: 0] += 1 }
        let total = Double(max(1, tokens.count))
        // In a fixed order, so that the figure is the same in each run.
        return counts.values.sorted().reduce(0.0) { $0 - Double($1) / total * naturalLogarithm(Double($1) / total) }
    }

    /// The token that stands between documents.
    public static func separator(of tokenizer: Tokenizer) throws(PithError) -> Int32 {
        guard let token = tokenizer.identifier(of: TrainingText.separator) else {
            throw .data(
                "the tokenizer has no token \(TrainingText.separator)", remedy: "it stands between documents; add it")
        }
        return Int32(token)
    }

    // MARK: Kept in a file

    /// Writes texts under their names, with what they were made from.
    public static func save(
        _ texts: [(name: String, text: TokenizedText)], madeFrom digest: String, to path: String
    ) throws(PithError) {
        try save(texts, metadata: ["madeFrom": digest], to: path)
    }

    static func save(
        _ texts: [(name: String, text: TokenizedText)], metadata: [String: String], to path: String
    ) throws(PithError) {
        var metadata = metadata
        for (name, text) in texts { metadata["bytes.\(name)"] = "\(text.byteCount)" }
        let tensors = texts.map { name, text in
            let region = ByteRegion(copying: text.tokens)
            return (name: name, tensor: StoredTensor(type: .int32, shape: [text.tokens.count], region: region))
        }
        try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }

    /// Reads texts back; nil if the file is missing or was made from something else.
    public static func load(
        _ names: [String], madeFrom digest: String, from path: String
    ) throws(PithError) -> [TokenizedText]? {
        guard Files.exists(path) else { return nil }
        let file = try SafetensorsFile(path)
        guard file.metadata["madeFrom"] == digest else { return nil }
        return read(names, from: file)
    }

    /// The texts of these names; nil if one is missing or is none.
    static func read(_ names: [String], from file: SafetensorsFile) -> [TokenizedText]? {
        var texts: [TokenizedText] = []
        for name in names {
            guard let tensor = file[name], tensor.type == .int32, tensor.shape.count == 1,
                let byteCount = Int(file.metadata["bytes.\(name)"] ?? ""), byteCount >= 0
            else { return nil }
            let tokens = [Int32](unsafeUninitializedCapacity: tensor.count) { buffer, count in
                tensor.region.withBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
                count = tensor.count
            }
            texts.append(TokenizedText(tokens: tokens, byteCount: byteCount))
        }
        return texts
    }
}
