import Foundation
import PithCore
import PithFormats
import PithModels
import PithReaders
import PithTensor
import Testing

/// Files of rwkv.cpp, made by the test: version 4, one layer.
struct RWKVBytes {
    var width = 4, units = 6, vocabulary = 256, layers = 1, magic: UInt32 = 0x6767_6D66, version: UInt32 = 101
    /// The numbers of types, by name; 0 for others.
    var types: [String: UInt32] = [:]
    /// Tensors behind those of the model.
    var more: [(name: String, shape: [Int])] = []
    var leftOut: Set<String> = []

    var tensors: [(name: String, shape: [Int])] {
        var list: [(name: String, shape: [Int])] = [("emb.weight", [vocabulary, width])]
        for layer in 0..<layers {
            let block = "blocks.\(layer)."
            for norm in (layer == 0 ? ["ln0"] : []) + ["ln1", "ln2"] {
                list += [("\(block)\(norm).weight", [width]), ("\(block)\(norm).bias", [width])]
            }
            for name in ["time_decay", "time_first", "time_mix_k", "time_mix_v", "time_mix_r"] {
                list.append(("\(block)att.\(name)", [width]))
            }
            for name in ["key", "value", "receptance", "output"] {
                list.append(("\(block)att.\(name).weight", [width, width]))
            }
            list += [("\(block)ffn.time_mix_k", [width]), ("\(block)ffn.time_mix_r", [width])]
            list += [("\(block)ffn.key.weight", [units, width]), ("\(block)ffn.value.weight", [width, units])]
            list.append(("\(block)ffn.receptance.weight", [width, width]))
        }
        list += [("ln_out.weight", [width]), ("ln_out.bias", [width]), ("head.weight", [vocabulary, width])]
        return list.filter { !leftOut.contains($0.name) } + more
    }

    var bytes: [UInt8] {
        var bytes = [magic, version, UInt32(vocabulary), UInt32(width), UInt32(layers), 0]
            .flatMap(Llama2CFile.littleEndian)
        for (name, shape) in tensors {
            let type = types[name] ?? 0
            bytes += ([UInt32(shape.count), UInt32(name.utf8.count), type] + shape.reversed().map { UInt32($0) })
                .flatMap(Llama2CFile.littleEndian)
            bytes += Array(name.utf8)
            for i in 0..<shape.reduce(1, *) {
                // Decays are negative in files.
                let value = name.hasSuffix("time_decay") ? -Float(i + 1) : Float(i)
                bytes +=
                    type == 1
                    ? Array(Llama2CFile.littleEndian(0x3C00)[..<2]) : Llama2CFile.littleEndian(value.bitPattern)
            }
        }
        return bytes
    }
}

@Suite("Files of rwkv.cpp") struct RWKVFileTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    private func importing(_ bytes: [UInt8], tokenizer: String? = nil) throws -> TensorArchive {
        try folder.write(bytes, to: "model.bin")
        let target = folder.file("imported")
        try? FileManager.default.removeItem(atPath: target)
        try importRWKV(model: folder.file("model.bin"), tokenizer: tokenizer, into: target)
        return try TensorArchive(folder: target)
    }

    private func error(_ bytes: [UInt8]) -> String {
        do {
            _ = try importing(bytes)
            return "none"
        } catch { return "\(error)" }
    }

    @Test func aModelBecomesAFolder() throws {
        let archive = try importing(RWKVBytes(types: ["head.weight": 1]).bytes)
        #expect(archive.names == RWKVBytes().tensors.map(\.name).sorted())
        #expect(try archive.tensor("head.weight").type == .float16)
        // The numbers that -exp(x) was made of.
        let decays = try archive.tensor("blocks.0.att.time_decay").decoded().values
        for (i, decay) in decays.enumerated() { #expect(abs(exponential(decay) - Float(i + 1)) < 1e-5) }
        #expect(
            try archive.tensor("blocks.0.ffn.key.weight").decoded()
                == Tensor(
                    shape: [6, 4], values: (0..<24).map { Float($0) }))
        let keys = JSONReader(try JSONValue(contentsOf: folder.file("imported/config.json")))
        #expect(try keys.member("rwkv_version").text() == "4")
        #expect(try keys.member("intermediate_size").integer() == 6)
        let tokenizer = try Tokenizer(folder: folder.file("imported"))
        let text = "a\u{0}ü\n b"
        #expect(tokenizer.encode(text, .written) == text.utf8.map { Int($0) })
        #expect(tokenizer.decode(text.utf8.map { Int($0) }) == text)
        #expect(try RWKVFile.recognizes(folder.file("model.bin")))
    }

    @Test func whatIsMissingIsNamed() {
        #expect(error(RWKVBytes(leftOut: ["blocks.0.att.time_first"]).bytes).contains("blocks.0.att.time_first"))
        #expect(error(RWKVBytes(more: [("blocks.0.att.nothing", [3])]).bytes).contains("blocks.0.att.nothing"))
        #expect(error(RWKVBytes(more: [("emb.weight", [256, 4])]).bytes).contains("twice"))
        #expect(error(RWKVBytes(types: ["head.weight": 5]).bytes).contains("head.weight"))
        // Rows of four elements are no whole blocks.
        #expect(error(RWKVBytes(types: ["head.weight": 8]).bytes).contains("head.weight"))
        #expect(error(RWKVBytes(vocabulary: 100).bytes).contains("tokenizer"))
        #expect(error(RWKVBytes(magic: 0x6767_6D6C).bytes).contains("rwkv.cpp"))
        #expect(error(RWKVBytes(version: 102).bytes).contains("102"))
        #expect(!FileManager.default.fileExists(atPath: folder.file("imported")))
    }

    @Test func blocksOfTheOldVersionAreRefused() {
        let file = RWKVBytes(width: 32, units: 32, version: 100, types: ["head.weight": 8])
        #expect(error(file.bytes).contains("version 100"))
    }

    @Test func hugeNumbersAreRefused() throws {
        let whole = RWKVBytes().bytes
        for word: UInt32 in [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 24] {
            // The header's numbers, and those of the first tensor.
            for place in [8, 12, 16, 24, 28, 36, 40] {
                var bytes = whole
                bytes.replaceSubrange(place..<place + 4, with: Llama2CFile.littleEndian(word))
                let error = #expect(throws: PithError.self) { try importing(bytes) }
                #expect(error?.kind == .data || place == 8, "\(place) \(word)")
            }
        }
    }

    @Test func filesThatEndTooSoonAreRefused() throws {
        let whole = RWKVBytes().bytes
        for count in stride(from: 0, to: whole.count, by: 61) {
            #expect(throws: PithError.self) { try importing(Array(whole[..<count])) }
        }
    }

    @Test func damage() throws {
        var mutator = Mutator(seed: 5)
        let whole = RWKVBytes(vocabulary: 8).bytes
        let tokenizer = folder.file("tokenizer.json")
        try AtomicFile.write("{}", to: tokenizer)
        var refused = 0
        for _ in 0..<200 {
            do { _ = try importing(mutator.damaged(whole), tokenizer: tokenizer) } catch is PithError { refused += 1 }
        }
        #expect(refused > 50)
    }
}
