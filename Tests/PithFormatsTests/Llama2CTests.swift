import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import Testing

/// Files of llama2.c, made by the test.
struct Llama2CFile {
    var width = 8, hidden = 12, layers = 2, heads = 2, keyValueHeads = 1, vocabulary = 300, context = 6
    var isTied = true

    var bytes: [UInt8] {
        let header = [width, hidden, layers, heads, keyValueHeads, isTied ? vocabulary : -vocabulary, context]
        let keyWidth = width / heads * keyValueHeads
        let layer = 2 * width + 2 * width * width + 2 * keyWidth * width + 3 * width * hidden
        let rotation = context * width / heads
        let count = (isTied ? 1 : 2) * vocabulary * width + layers * layer + width + rotation
        var bytes = header.flatMap { Self.littleEndian(UInt32(bitPattern: Int32($0))) }
        for i in 0..<count { bytes += Self.littleEndian(Float(i).bitPattern) }
        return bytes
    }

    static func littleEndian(_ word: UInt32) -> [UInt8] { withUnsafeBytes(of: word.littleEndian, Array.init) }

    /// A tokenizer with the special pieces and some more.
    static func tokenizer(_ more: [(text: String, score: Float)], longest: Int = 16) -> [UInt8] {
        let bytes: [(text: String, score: Float)] = (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return ("<0x\(digits.count < 2 ? "0" : "")\(digits)>", 0)
        }
        let special: [(text: String, score: Float)] = [("<unk>", 0), ("\n<s>\n", 0), ("\n</s>\n", 0)]
        var result = littleEndian(UInt32(longest))
        for piece in special + bytes + more {
            result += littleEndian(piece.score.bitPattern) + littleEndian(UInt32(piece.text.utf8.count))
            result += Array(piece.text.utf8)
        }
        return result
    }

    /// 300 pieces: 259 special ones, a space and 40 Greek letters.
    static let smallTokenizer: [UInt8] = {
        var pieces: [(text: String, score: Float)] = [(" ", -1)]
        for i in 0..<40 { pieces.append((String(Unicode.Scalar(UInt32(0x3B1 + i)) ?? "x"), Float(-2 - i))) }
        return tokenizer(pieces)
    }()
}

@Suite struct Llama2CTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    func importFiles(_ model: [UInt8], _ tokenizer: [UInt8] = Llama2CFile.smallTokenizer) throws -> String {
        try folder.write(model, to: "model.bin")
        try folder.write(tokenizer, to: "tokenizer.bin")
        let target = folder.file("hf")
        try importLlama2C(model: folder.file("model.bin"), tokenizer: folder.file("tokenizer.bin"), into: target)
        return target
    }

    @Test(arguments: [true, false]) func writesAFolder(_ isTied: Bool) throws {
        let file = Llama2CFile(isTied: isTied)
        let target = try importFiles(file.bytes)
        let configuration = try Architectures.open(folder: target).configuration
        #expect(configuration.tiesEmbeddings == isTied)
        #expect(configuration.hiddenSize == 8)
        #expect(configuration.intermediateSize == 12)
        #expect(configuration.keyValueHeadCount == 1)
        #expect(configuration.contextLength == 6)
        let archive = try TensorArchive(folder: target)
        #expect(archive.names.count == (isTied ? 0 : 1) + 2 + 9 * 2)
        // The weights are numbered in the order of the file.
        #expect(try archive.tensor("model.embed_tokens.weight").decoded().values.first == 0)
        #expect(try archive.tensor("model.layers.1.input_layernorm.weight").decoded().values.first == 2408)
        #expect(try archive.tensor("model.layers.1.self_attn.v_proj.weight").decoded().values.first == 2640)
        #expect(try archive.tensor("model.layers.0.mlp.gate_proj.weight").decoded().shape == [12, 8])
        let norm = try archive.tensor("model.norm.weight").decoded().values
        #expect(norm.count == 8)
        if !isTied {
            // Between the last norm and the head lie the cosines and sines.
            #expect(try archive.tensor("lm_head.weight").decoded().values.first == norm[7] + 1 + 24)
        }
        #expect(try Tokenizer(folder: target).vocabularySize == 300)
    }

    /// The product of a rotated query and key is the same in both conventions.
    @Test func rowsOfHeadsFollowTheRotation() throws {
        let file = Llama2CFile()
        let archive = try TensorArchive(folder: try importFiles(file.bytes))
        let query = try archive.tensor("model.layers.0.self_attn.q_proj.weight").decoded()
        // Rows of [8, 8] as the file has them; the first weight of the kind is 2416, with one row a head dimension.
        let start = Float(file.vocabulary * file.width + file.layers * file.width)
        let original = (0..<8).map { row in start + Float(8 * row) }
        let size = 4
        for head in 0..<2 {
            for i in 0..<size / 2 {
                #expect(query[head * size + i, 0] == original[head * size + 2 * i])
                #expect(query[head * size + size / 2 + i, 0] == original[head * size + 2 * i + 1])
            }
        }
    }

    @Test func refusesFilesOfAnotherSize() throws {
        let bytes = Llama2CFile().bytes
        for broken in [[], Array(bytes.prefix(27)), bytes.dropLast(1), bytes.dropLast(4), bytes + [0, 0, 0, 0]] {
            #expect(throws: PithError.self) { try importFiles(Array(broken)) }
        }
        #expect(!Files.exists(folder.file("hf")))
    }

    @Test(arguments: [
        (0, 0), (0, -8), (0, 7), (1, 0), (1, 1 << 30), (2, 0), (2, 1 << 20), (3, 0), (3, 3), (4, 0), (4, 3), (5, 0),
        (5, Int(Int32.min)), (6, 0), (6, 1 << 29), (0, 0x616B_3432),
    ])
    func refusesHeaders(_ field: Int, _ value: Int) throws {
        var bytes = Llama2CFile().bytes
        withUnsafeBytes(of: Int32(truncatingIfNeeded: value).littleEndian) {
            bytes.replaceSubrange(4 * field..<4 * field + 4, with: $0)
        }
        #expect(throws: PithError.self) { try importFiles(bytes) }
    }

    @Test func refusesTokenizers() throws {
        let model = Llama2CFile().bytes
        let good = Llama2CFile.smallTokenizer
        var wrongByte = good
        wrongByte[54] = UInt8(ascii: "y")
        func numbered(_ score: Float, _ text: (Int) -> String) -> [(text: String, score: Float)] {
            (0..<41).map { (text($0), score) }
        }
        let twice = Llama2CFile.tokenizer(numbered(-1) { _ in "a" })
        let empty = Llama2CFile.tokenizer(numbered(-1) { $0 == 0 ? "" : "\($0)" })
        let noScore = Llama2CFile.tokenizer(numbered(.nan) { "\($0)" })
        let tooLong = Llama2CFile.tokenizer(numbered(-1) { "\($0)" }, longest: 5)
        let broken: [[UInt8]] = [
            [], Array(good.dropLast()), good + [0], wrongByte, twice, empty, noScore, tooLong,
        ]
        for bytes in broken {
            #expect(throws: PithError.self) { try importFiles(model, bytes) }
        }
    }

    func check(_ tokenizer: Tokenizer, _ name: String) throws {
        for row in try JSONReader(JSONValue(contentsOf: TestData.golden("\(name).expected.json"))).array() {
            let text = try row.member("text").text()
            let tokens = try row.member("tokens").array().map { try $0.integer() }
            #expect(tokenizer.encode(text, .written) == tokens, "\(name): \(text)")
            #expect(tokenizer.encode(text, .full) == [1] + tokens, "\(name): \(text)")
            #expect(tokenizer.decode(tokens) == text)
        }
    }

    @Test func tokensFollowTheScores() throws {
        let bytes = try Files.bytes(TestData.golden("tiny-llama2c.bin"))
        var file = Llama2CFile()
        file.vocabulary = 704
        try check(try Tokenizer(folder: importFiles(file.bytes, bytes)), "tiny-llama2c")
    }

    @Test(.enabled(if: TestData.has("stories260k/stories260K.bin"), "needs stories260k"))
    func importsARealModel() throws {
        let target = folder.file("stories")
        try importLlama2C(
            model: TestData.path("stories260k/stories260K.bin"), tokenizer: TestData.path("stories260k/tok512.bin"),
            into: target)
        try check(try Tokenizer(folder: target), "stories260k-tok512")
    }

    @Test(.enabled(if: TestData.has("stories260k/tokenizer.bin"), "needs stories260k"))
    func tokensOfTheLargeVocabularyFollowTheScores() throws {
        var file = Llama2CFile()
        file.vocabulary = 32000
        let bytes = try Files.bytes(TestData.path("stories260k/tokenizer.bin"))
        try check(try Tokenizer(folder: importFiles(file.bytes, bytes)), "stories260k-tokenizer")
    }
}
