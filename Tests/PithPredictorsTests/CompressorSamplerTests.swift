import PithCore
import PithPredictors
import Testing

/// Compressors as generators.
struct CompressorSamplerTests {
    private static let context = CodingContext(pool: ThreadPool(threads: 2))

    private static func sampler(_ method: String, temperature: Double = 1) throws -> CompressorSampler {
        try CompressorSampler(
            DataCatalogue.method(for: Spec(parsing: method)), temperature: temperature, seed: 3, context)
    }

    @Test func aStoreFindsAllBytesEquallyLikely() throws {
        let probabilities = try Self.sampler("store").probabilities(after: [1, 2, 3])
        #expect(probabilities == [Double](repeating: 1 / 256, count: 256))
    }

    @Test func whatCompressesWellIsLikely() throws {
        let pattern = Array("abcabd".utf8)
        let text = (0..<20).flatMap { _ in pattern }
        let probabilities = try Self.sampler("mix").probabilities(after: text)
        #expect(abs(probabilities.reduce(0, +) - 1) < 1e-9)
        #expect(probabilities[Int(UInt8(ascii: "a"))] == probabilities.max())
        #expect(probabilities[Int(UInt8(ascii: "z"))] < probabilities[Int(UInt8(ascii: "a"))] / 10)
        var sampler = try Self.sampler("mix", temperature: 0.25)
        #expect(try sampler.bytes(6, after: text) == pattern)
    }

    @Test func temperaturesThatMakeNoSenseAreRefused() {
        #expect(throws: PithError.self) { try Self.sampler("store", temperature: 0) }
    }
}
