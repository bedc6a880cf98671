import ArgumentParser
import Pith

/// Shows the tokens of a text.
struct TokensCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokens", abstract: "Show the tokens of a text.",
        discussion: """
            MODEL is a model folder, a .gguf file, a tokenizer.json, a SentencePiece .model or the name of a built-in \
            model; weights are not needed. Special tokens are put around the text and found in it, as the package \
            'tokenizers' does, unless the flags say otherwise.
            """)

    @Argument(help: "A model, or a file that holds a tokenizer.")
    var model: String

    @Argument(help: "The text.")
    var words: String?

    @Option(help: "A file that holds the text.")
    var text: String?

    @Option(help: "A second text, as the model sees pairs.")
    var pair: String?

    @Flag(help: "Put no special tokens around the text.")
    var bare = false

    @Flag(help: "Take special tokens in the text for plain text.")
    var plain = false

    @Flag(help: "Print JSON: ids, pieces, offsets in characters, byteOffsets, types, special, decoded.")
    var json = false

    @Flag(
        help:
            "The text has lines of JSON, each a text or an array of two; tokens are printed for each, a line or a table."
    )
    var lines = false

    private var options: EncodingOptions {
        EncodingOptions(addsSpecialTokens: !bare, matchesSpecialTokens: !plain)
    }

    func run() throws {
        let tokenizer = try TokenizerFile.load(model)
        let text = try content()
        guard lines else {
            show(tokenizer.encoding(text, pair: pair, options), tokenizer)
            return
        }
        for (number, line) in text.utf8.split(separator: UInt8(ascii: "\n")).enumerated() {
            do throws(PithError) {
                let (first, second) = try Self.texts(JSONReader(JSONValue(parsing: Array(line))))
                show(tokenizer.encoding(first, pair: second ?? pair, options), tokenizer)
            } catch { throw error.within("line \(number + 1)") }
        }
    }

    private static func texts(_ line: JSONReader) throws(PithError) -> (String, String?) {
        guard case .array(let texts) = line.value else { return (try line.text(), nil) }
        guard texts.count == 2 else { throw line.failure("should be a text, or two in an array") }
        let elements = try line.array()
        return (try elements[0].text(), try elements[1].text())
    }

    private func show(_ encoding: Encoding, _ tokenizer: Tokenizer) {
        print(json ? Self.document(encoding, tokenizer).compactText : Self.table(encoding, tokenizer))
    }

    private func content() throws -> String {
        switch (words, text) {
        case (let words?, nil): return words
        case (nil, let file?): return try Files.text(file)
        default: throw PithError.usage("give a text, or a file with --text")
        }
    }

    /// Everything that is known of the tokens.
    private static func document(_ encoding: Encoding, _ tokenizer: Tokenizer) -> JSONValue {
        func ranges(_ ranges: [Range<Int>]) -> JSONValue {
            .array(ranges.map { [.integer($0.lowerBound), .integer($0.upperBound)] })
        }
        return [
            "ids": .array(encoding.ids.map { .integer($0) }),
            "pieces": .array(encoding.pieces.map { .string($0) }),
            "offsets": ranges(encoding.characterOffsets), "byteOffsets": ranges(encoding.offsets),
            "types": .array(encoding.types.map { .integer($0) }),
            "special": .array(encoding.isAdded.map { .bool($0) }),
            "decoded": .string(tokenizer.decode(encoding.ids)),
            "decodedPlain": .string(tokenizer.decode(encoding.ids, skippingSpecialTokens: true)),
        ]
    }

    private static func table(_ encoding: Encoding, _ tokenizer: Tokenizer) -> String {
        let rows = encoding.ids.indices.map { index in
            let (id, range) = (encoding.ids[index], encoding.offsets[index])
            let adds = String(decoding: tokenizer.bytes(of: id), as: UTF8.self)
            return [
                "\(id)", encoding.pieces[index].printable,
                encoding.isAdded[index] ? "" : "\(range.lowerBound)–\(range.upperBound)",
                encoding.isAdded[index] || tokenizer.isSpecial(id) ? "special" : adds.debugDescription,
            ]
        }
        return TextTable(header: ["id", "piece", "bytes", "text"], rows: rows, leftAligned: [1, 3]).text
            + "\n\(encoding.ids.count) tokens"
    }
}
