import Foundation
import PithCore
import PithFormats
import PithModels
import PithReaders
import PithTensor
import Testing

/// Damaged files are refused with an error, or turn out to be whole; they never crash.
@Suite struct MutationTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    static let count = 400

    /// Opens so many damaged copies and says how many were refused.
    func refusals(
        of bytes: [UInt8], count: Int = count, seed: UInt64, isText: Bool, open: ([UInt8]) throws -> Void
    ) throws -> Int {
        var mutator = Mutator(seed: seed)
        var refused = 0
        for i in 0..<count {
            let copy = isText && i % 2 == 0 ? mutator.lying(bytes) : mutator.damaged(bytes)
            do { try open(copy) } catch let error as PithError {
                #expect(error.kind == .data, "\(error)")
                #expect(!error.message.isEmpty)
                refused += 1
            }
        }
        return refused
    }

    func readAll(_ file: SafetensorsFile) throws {
        var bytes = 0
        for name in file.names {
            let tensor = try #require(file[name])
            #expect(tensor.byteCount == tensor.count * tensor.type.byteCount)
            bytes += tensor.region.withBytes { $0.count }
            if tensor.type.dense != nil { #expect(try tensor.decoded().count == tensor.count) }
        }
        #expect(bytes <= file.size.value)
    }

    @Test func safetensors() throws {
        let path = folder.file("a")
        try SafetensorsWriter.write(SafetensorsTests.tensors, metadata: ["format": "pt"], to: path)
        let whole = try Files.bytes(path)
        let refused = try refusals(of: whole, seed: 1, isText: false) { bytes in
            try folder.write(bytes, to: "b")
            try readAll(try SafetensorsFile(folder.file("b")))
        }
        // Flipped bits of the data and other names are no damage that can be seen.
        #expect(refused > Self.count / 2)
    }

    /// Headers that are proper JSON with a proper length, and lie.
    @Test func safetensorsHeaders() throws {
        let path = folder.file("a")
        try SafetensorsWriter.write(SafetensorsTests.tensors, metadata: ["format": "pt"], to: path)
        let whole = try Files.bytes(path)
        let headerEnd = 8 + Int(whole[0]) + Int(whole[1]) << 8
        let refused = try refusals(of: Array(whole[8..<headerEnd]), seed: 2, isText: true) { header in
            let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
            try folder.write(length + header + whole[headerEnd...], to: "b")
            try readAll(try SafetensorsFile(folder.file("b")))
        }
        #expect(refused > Self.count / 2)
    }

    @Test func shards() throws {
        let tensors = SafetensorsTests.tensors
        try SafetensorsWriter.write(Array(tensors[..<2]), to: folder.file("m-1.safetensors"))
        try SafetensorsWriter.write(Array(tensors[2...]), to: folder.file("m-2.safetensors"))
        let index = "{\"metadata\":{\"total_size\":123},\"weight_map\":{\(TensorArchiveTests.entries)}}"
        let refused = try refusals(of: Array(index.utf8), seed: 3, isText: true) { bytes in
            try folder.write(bytes, to: TensorArchive.indexName)
            let archive = try TensorArchive(folder: folder.path)
            for name in archive.names { #expect(try archive.tensor(name).count >= 0) }
        }
        #expect(refused > Self.count / 2)
    }

    @Test func configurations() throws {
        let rows = try JSONReader(JSONValue(contentsOf: TestData.golden("configurations.json"))).array()
        let configuration = try #require(rows.last).member("config").value.compactBytes()
        let refused = try refusals(of: configuration, seed: 4, isText: true) { bytes in
            let configuration = try ModelConfiguration(JSONReader(JSONValue(parsing: bytes)))
            #expect(
                configuration.ropeScaling.inverseFrequencies(
                    size: configuration.headDimension, theta: configuration.ropeTheta
                ).count == configuration.headDimension / 2)
            #expect(try ModelConfiguration(JSONReader(Llama.document(configuration))) == configuration)
        }
        #expect(refused > Self.count / 4)
    }

    @Test(arguments: TokenizerTests.tiny) func tokenizers(_ name: String) throws {
        let whole = try Files.bytes(TestData.golden("\(name).tokenizer.json"))
        let refused = try refusals(of: whole, seed: 5, isText: true) { bytes in
            let tokenizer = try Tokenizer(json: JSONValue(parsing: bytes))
            let tokens = tokenizer.encode(
                "It's 2026:  naïve 日本 <mask> 😀<|endoftext|>\n\n" + String(repeating: "a", count: 50), .full)
            #expect(tokens.allSatisfy { (0..<tokenizer.vocabularySize).contains($0) })
            var stream = StreamingDecoder(tokenizer)
            for token in tokens { _ = stream.push(token) }
            _ = stream.finish()
            #expect(tokenizer.vocabularySize <= 1 << 24)
        }
        #expect(refused > Self.count / 4)
    }

    @Test func llama2C() throws {
        let (model, tokenizer) = (Llama2CFile(isTied: false).bytes, Llama2CFile.smallTokenizer)
        let target = folder.file("hf")
        func convert(_ model: [UInt8], _ tokenizer: [UInt8]) throws {
            try folder.write(model, to: "model.bin")
            try folder.write(tokenizer, to: "tokenizer.bin")
            try importLlama2C(model: folder.file("model.bin"), tokenizer: folder.file("tokenizer.bin"), into: target)
            _ = try Architectures.open(folder: target).configuration
            for name in try TensorArchive(folder: target).names { #expect(!name.isEmpty) }
            _ = try Tokenizer(folder: target).encode("αβγ 12", .full)
        }
        // The header is where most can go wrong.
        let ofHeader = try refusals(of: Array(model[..<28]), count: 250, seed: 6, isText: false) { header in
            try convert(header + model[28...], tokenizer)
        }
        let ofModel = try refusals(of: model, count: 30, seed: 7, isText: false) { try convert($0, tokenizer) }
        let ofTokenizer = try refusals(of: tokenizer, count: 70, seed: 8, isText: false) { try convert(model, $0) }
        #expect(ofHeader > 180)
        #expect(ofModel > 10)
        #expect(ofTokenizer > 30)
    }

    @Test func json() throws {
        let whole = try Files.bytes(TestData.golden("tiny-llama2.tokenizer.json"))
        let refused = try refusals(of: whole, seed: 9, isText: false) { bytes in
            let value = try JSONValue(parsing: bytes)
            #expect(try JSONValue(parsing: value.compactBytes()) == value)
        }
        #expect(refused > Self.count / 2)
    }
}
