import Foundation
import PithCore
import PithFormats

/// Inputs that are right: files of `Tests/Golden`, and some that are made here.
enum Seeds {
    static func texts(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    // MARK: Golden files

    private static let goldenFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Tests/Golden").standardizedFileURL.path

    static func goldenPath(_ name: String) -> String { joinPath(goldenFolder, name) }

    static var goldenNames: [String] { get throws { try Files.names(in: goldenFolder).sorted() } }

    static func golden(_ names: [String]) throws -> [[UInt8]] { try names.map { try Files.bytes(goldenPath($0)) } }

    /// The folders of models of all families.
    static func goldenModels() throws -> [String] { try folders("logits") }

    /// The folders that other programs quantised.
    static func goldenCheckpoints() throws -> [String] { try folders("checkpoints") }

    private static func folders(_ name: String) throws -> [String] {
        try Files.names(in: goldenPath(name)).sorted().map { goldenPath(joinPath(name, $0)) }
            .filter { Files.exists(joinPath($0, "config.json")) }
    }

    /// Some files of a folder as an input.
    static func bundle(_ folder: String, _ names: [String]) throws -> [UInt8] {
        Bundle.bytes(
            try names.filter { Files.exists(joinPath(folder, $0)) }.map {
                (name: $0, bytes: try Files.bytes(joinPath(folder, $0)))
            })
    }

    private static func chat() throws -> JSONReader {
        try JSONReader(JSONValue(contentsOf: goldenPath("chat.expected.json")))
    }

    /// Chat templates.
    static func templates() throws -> [String] { try chat().member("templates").members().map { try $0.1.text() } }

    /// Pieces of templates that use all of the language.
    static func snippets() throws -> [String] {
        try chat().member("snippets").array().map { try $0.member("source").text() }
    }

    // MARK: Files of other programs, made here

    /// Two models of SentencePiece's, by unigrams and by byte pairs.
    static var sentencePieces: [[UInt8]] {
        let pieces: [(String, Float, UInt8)] = [
            ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u{2581}", -3, 1), ("a", -4, 1), ("b", -5, 1),
            ("ab", -6, 1), ("\u{2581}a", -2, 1), ("\u{2581}ab", -9, 1), ("[X]", 0, 4), ("<0x41>", 0, 6),
        ]
        return [1, 2].map { method in
            let listed = pieces.flatMap { text, score, kind -> [UInt8] in
                let score = [0x15] + bytes(score.bitPattern)
                return field(1, field(1, Array(text.utf8)) + score + [3 << 3, kind])
            }
            return listed + field(2, [3 << 3, UInt8(method)]) + field(3, [3 << 3, 1, 4 << 3, 1])
        }
    }

    private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(content.count)] + content
    }

    /// The bytes of a number, the lowest first.
    static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian, Array.init)
    }

    private static let llama2CPieces = 264

    /// A model of llama2.c's: its seven sizes and as many floats as they ask for.
    static var llama2C: [UInt8] {
        let (width, hidden, layers, heads, length) = (4, 6, 1, 1, 8)
        let sizes = [width, hidden, layers, heads, heads, llama2CPieces, length].flatMap { bytes(Int32($0)) }
        let layer = 4 * width * width + 3 * width * hidden + 2 * width
        let count = llama2CPieces * width + layers * layer + width + length * width
        return sizes + (0..<count).flatMap { bytes((Float($0 % 9) / 16).bitPattern) }
    }

    /// The tokenizer of that model: the longest length, and pieces with scores.
    static var llama2CTokenizer: [UInt8] {
        var pieces = ["<unk>", "\n<s>\n", "\n</s>\n"]
        pieces += (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return "<0x" + (digits.count < 2 ? "0" : "") + digits + ">"
        }
        pieces += [" ", "a", "b", "ab", " a"]
        let entries = pieces.enumerated().flatMap { index, piece -> [UInt8] in
            let head = bytes((-Float(index)).bitPattern) + bytes(UInt32(piece.utf8.count))
            return head + Array(piece.utf8)
        }
        return bytes(UInt32(pieces.map(\.utf8.count).max() ?? 0)) + entries
    }

    /// A model of rwkv.cpp's with one layer of version 4.
    static var rwkv: [UInt8] {
        let (width, units, vocabulary) = (4, 6, 256)
        var tensors: [(String, [Int])] = [("emb.weight", [vocabulary, width])]
        let block = "blocks.0."
        for norm in ["ln0", "ln1", "ln2"] {
            tensors += [(block + norm + ".weight", [width]), (block + norm + ".bias", [width])]
        }
        for name in ["time_decay", "time_first", "time_mix_k", "time_mix_v", "time_mix_r"] {
            tensors.append((block + "att." + name, [width]))
        }
        for name in ["key", "value", "receptance", "output"] {
            tensors.append((block + "att.\(name).weight", [width, width]))
        }
        tensors += [(block + "ffn.time_mix_k", [width]), (block + "ffn.time_mix_r", [width])]
        tensors += [(block + "ffn.key.weight", [units, width]), (block + "ffn.value.weight", [width, units])]
        tensors += [(block + "ffn.receptance.weight", [width, width])]
        tensors += [("ln_out.weight", [width]), ("ln_out.bias", [width]), ("head.weight", [vocabulary, width])]
        let numbers: [UInt32] = [0x6767_6D66, 101, UInt32(vocabulary), UInt32(width), 1, 0]
        let head = numbers.flatMap { bytes($0) }
        return head
            + tensors.flatMap { name, shape -> [UInt8] in
                let numbers = [shape.count, name.utf8.count, 0] + shape.reversed()
                let extents = numbers.flatMap { bytes(UInt32($0)) }
                let values = (0..<shape.reduce(1, *)).flatMap { i -> [UInt8] in
                    let value = name.hasSuffix("time_decay") ? -Float(i + 1) : Float(i) / 16
                    return bytes(value.bitPattern)
                }
                return extents + Array(name.utf8) + values
            }
    }
}
