import PithCore

/// The tokenizer of llama2.c: pieces with scores, of which neighbours are joined that make the piece of highest score.
package struct Llama2CVocabulary {
    private struct Piece {
        var text: String
        var score: Float
    }

    private var pieces: [Piece] = []

    private static let unknown = "<unk>", beginning = "<s>", end = "</s>"
    /// After the three special pieces stand the 256 single bytes.
    private static let firstByte = 3
    private static let specialCount = firstByte + 256
    /// Splitting a piece takes time that grows with the square of its length.
    private static let lengthLimit = 1024

    /// Reads the file at `path`, which must hold exactly `count` pieces.
    package init(_ path: String, count: Int) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do throws(PithError) {
            self.pieces = try region.withBytes { (bytes) throws(PithError) in try Self.pieces(bytes, count: count) }
            try checkSpecialPieces()
        } catch { throw error.within(path) }
    }

    /// The longest length, and for each piece its score, its length and its bytes.
    private static func pieces(_ bytes: UnsafeRawBufferPointer, count: Int) throws(PithError) -> [Piece] {
        guard bytes.count >= 4 else { throw .data("has \(bytes.count) bytes, too few for a tokenizer of llama2.c") }
        let longest = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
        guard longest <= lengthLimit else {
            throw .data("claims pieces of \(longest) bytes", remedy: "\(lengthLimit) is the limit")
        }
        var pieces: [Piece] = []
        var offset = 4
        while offset < bytes.count {
            guard pieces.count < count else {
                throw .data("goes on after the \(count) pieces of the model's vocabulary", at: "byte \(offset)")
            }
            guard bytes.count - offset >= 8 else { throw .data("ends inside piece \(pieces.count)") }
            let score = Float(
                bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            let length = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: Int32.self)))
            guard (1...max(1, longest)).contains(length), length <= bytes.count - offset - 8 else {
                throw .data("piece \(pieces.count) claims \(length) bytes", at: "byte \(offset)")
            }
            let content = bytes[offset + 8..<offset + 8 + length]
            guard let text = String(validating: content, as: UTF8.self), score.isFinite else {
                throw .data("piece \(pieces.count) is no text with a score", at: "byte \(offset)")
            }
            pieces.append(Piece(text: text, score: score))
            offset += 8 + length
        }
        guard pieces.count == count else {
            throw .data("holds \(pieces.count) pieces", remedy: "the model's vocabulary has \(count)")
        }
        return pieces
    }

    private mutating func checkSpecialPieces() throws(PithError) {
        guard pieces.count >= Self.specialCount else {
            throw .data("has \(pieces.count) pieces", remedy: "\(Self.specialCount) are special alone")
        }
        for byte in UInt8.min...UInt8.max {
            let piece = Self.firstByte + Int(byte)
            guard pieces[piece].text == BytePairModel.fallbackName(byte) else {
                throw .data(
                    "piece \(piece) is '\(pieces[piece].text.shortened)'",
                    remedy: "it should be \(BytePairModel.fallbackName(byte))")
            }
        }
        // The file writes line breaks around these.
        for (i, name) in [Self.unknown, Self.beginning, Self.end].enumerated() { pieces[i].text = name }
        for i in Self.firstByte..<pieces.count {
            pieces[i].text = pieces[i].text.replacingExactly(" ", by: "\u{2581}")
        }
    }

    /// Joins of two pieces, those that are done first in front.
    ///
    /// llama2.c joins the leftmost of equal scores, which an order of joins cannot say. It grows runs (of spaces, the
    /// only pieces in practice whose scores are equal) from the left, and so do joins with the longer left, then right.
    private func merges() -> [(left: String, right: String)] {
        var numbers: [ExactString: Int] = [:]
        for i in Self.firstByte..<pieces.count { numbers[ExactString(pieces[i].text)] = i }
        var merges: [(left: String, right: String, result: Int)] = []
        for i in Self.firstByte..<pieces.count {
            let scalars = pieces[i].text.unicodeScalars
            for split in scalars.indices.dropFirst() {
                let (left, right) = (String(scalars[..<split]), String(scalars[split...]))
                if numbers[ExactString(left)] != nil, numbers[ExactString(right)] != nil {
                    merges.append((left, right, i))
                }
            }
        }
        merges.sort { a, b in
            let (aScore, bScore) = (pieces[a.result].score, pieces[b.result].score)
            if aScore != bScore { return aScore > bScore }
            let (aLeft, bLeft) = (a.left.utf8.count, b.left.utf8.count)
            if aLeft != bLeft { return aLeft > bLeft }
            let (aRight, bRight) = (a.right.utf8.count, b.right.utf8.count)
            return aRight != bRight ? aRight > bRight : a.result < b.result
        }
        return merges.map { ($0.left, $0.right) }
    }

    /// The contents of `tokenizer.json`.
    package var tokenizer: JSONValue {
        get throws(PithError) {
            var vocabulary = JSONObject()
            for (number, piece) in pieces.enumerated() {
                guard vocabulary.insert(piece.text, .integer(number)) else {
                    throw .data("the tokenizer holds the piece '\(piece.text.shortened)' twice")
                }
            }
            let merges = merges().map { JSONValue.array([.string($0.left), .string($0.right)]) }
            return [
                "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(Self.addedTokens),
                "normalizer": [
                    "type": "Sequence",
                    "normalizers": [
                        ["type": "Prepend", "prepend": "\u{2581}"],
                        ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"],
                    ],
                ],
                "pre_tokenizer": nil, "post_processor": Self.template,
                "decoder": [
                    "type": "Sequence",
                    "decoders": [
                        ["type": "Replace", "pattern": ["String": "\u{2581}"], "content": " "],
                        ["type": "ByteFallback"], ["type": "Fuse"],
                        ["type": "Strip", "content": " ", "start": 1, "stop": 0],
                    ],
                ],
                "model": [
                    "type": "BPE", "dropout": nil, "unk_token": .string(Self.unknown),
                    "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": true,
                    "byte_fallback": true, "ignore_merges": false, "vocab": .object(vocabulary),
                    "merges": .array(merges),
                ],
            ]
        }
    }

    private static var addedTokens: [JSONValue] {
        [unknown, beginning, end].enumerated().map { number, token in
            [
                "id": .integer(number), "content": .string(token), "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            ]
        }
    }

    /// Every text begins with token 1.
    private static var template: JSONValue {
        let text: JSONValue = ["Sequence": ["id": "A", "type_id": 0]]
        let second: JSONValue = ["Sequence": ["id": "B", "type_id": 1]]
        let start: JSONValue = ["SpecialToken": ["id": .string(beginning), "type_id": 0]]
        return [
            "type": "TemplateProcessing", "single": [start, text], "pair": [start, text, second],
            "special_tokens": ["<s>": ["id": .string(beginning), "ids": [1], "tokens": [.string(beginning)]]],
        ]
    }

    /// The contents of `tokenizer_config.json`.
    package static var settings: JSONValue {
        [
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": .string(beginning), "eos_token": .string(end),
            "unk_token": .string(unknown), "clean_up_tokenization_spaces": false,
        ]
    }
}
