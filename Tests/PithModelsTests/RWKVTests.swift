import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

/// Tiny trained models of every version, in files of rwkv.cpp, and the logits that this program gives for them behind a
/// prompt: https://github.com/RWKV/rwkv.cpp, `tests`.
@Suite("RWKV agrees with rwkv.cpp", .enabled(if: TestData.has("rwkv-tiny"), "needs rwkv-tiny"))
struct RWKVTests {
    static let files = [
        ("4v0-660K", "FP32", 1e-4), ("5v1-730K", "FP32", 1e-4), ("5v2-730K", "FP32", 1e-4), ("7v0-834K", "FP32", 1e-4),
        // The expected logits are those of weights of 32 bits.
        ("4v0-660K", "FP16", 0.01), ("5v1-730K", "FP16", 0.02), ("5v2-730K", "FP16", 0.02), ("7v0-834K", "FP16", 0.01),
        ("6v0-3m", "Q5_1", 0.15), ("6v0-3m", "Q5_0", 0.3),
    ]
    private static let prompt = Array("\"in".utf8).map { Int($0) }

    private static func expected(_ model: String) throws -> [Float] {
        let path = try #require(TestData.path("rwkv-tiny/tests/expected-logits-\(model).bin"))
        return try MappedFile.open(path).withBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
            }
        }
    }

    /// Runs a model imported from a file.
    static func withModel<Result>(
        _ model: String, _ form: String, _ body: (ModelSource) throws -> Result
    ) throws -> Result {
        let path = try #require(TestData.path("rwkv-tiny/tests/tiny-rwkv-\(model)-\(form).bin"))
        return try TestData.withTemporaryFolder { folder in
            try importRWKV(model: path, into: folder)
            return try body(try ModelSource(folder))
        }
    }

    @Test(arguments: files) func logits(model: String, form: String, tolerance: Double) throws {
        let expected = try Self.expected(model)
        try Self.withModel(model, form) { source in
            var model = try source.loadModel(
                layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 2))
            model.precision = .float
            var (together, oneByOne) = (model.makeState(), model.makeState())
            let logits = try model.nextLogits(Self.prompt, state: &together)
            let worst = zip(logits, expected).map { Double(abs($0 - $1)) }.max() ?? .infinity
            #expect(logits.count == expected.count && worst < tolerance)
            var last: [Float] = []
            for token in Self.prompt { last = try model.nextLogits([token], state: &oneByOne) }
            #expect(last == logits)
            #expect(source.tokenizer.encode("\"in", .written) == Self.prompt)
        }
    }
}
