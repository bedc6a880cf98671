import Foundation
import PithCore
import PithPredictors
import Testing

/// Micro-diffusion: what its parts learn, and what each is worth.
struct MidicothTests {
    static let context = CodingContext(pool: ThreadPool(threads: 1))
    /// The guide: 20 kB of English.
    static let guide: [UInt8] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let file = folder.appendingPathComponent("../../Models/text/guide.md").standardizedFileURL
        return (try? Data(contentsOf: file)).map { [UInt8]($0) } ?? []
    }()

    static func coded(_ bytes: [UInt8], _ spec: String) throws -> [UInt8] {
        try DataCatalogue.method(for: Spec(parsing: spec)).encode(bytes, context)
    }

    @Test(arguments: ["ppm", "ppm-match", "ppm-match-word-high", "match", "denoise", "word-denoise"])
    func anyLayersRoundTrip(layers: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "midicoth:layers=\(layers)"))
        let bytes = Array(Self.guide.prefix(3000))
        var opened: [UInt8] = []
        try method.decode(CodedPayload(method.encode(bytes, Self.context)), count: 3000, into: &opened, Self.context)
        #expect(opened == bytes)
    }

    @Test func unknownLayersAreRefused() {
        #expect(throws: PithError.self) { try Self.coded([], "midicoth:layers=ppm-magic") }
        #expect(throws: PithError.self) { try Self.coded([], "midicoth:layers=ppm-") }
    }

    @Test func eachStepOfDenoisingSavesBytes() throws {
        let sizes = try ["layers=ppm-match-word-high", "steps=1", "steps=3"].map {
            try Self.coded(Self.guide, "midicoth:\($0)").count
        }
        #expect(sizes[1] < sizes[0])
        #expect(sizes[2] < sizes[1])
        #expect(Double(sizes[2]) < 0.98 * Double(sizes[0]))
    }

    @Test func smallerThanContextsAlone() throws {
        let (contexts, all) = try (Self.coded(Self.guide, "midicoth:layers=ppm"), Self.coded(Self.guide, "midicoth"))
        #expect(all.count < contexts.count)
    }

    @Test func denoiserFindsTheShrinkage() {
        // The truth is 15/16, the prediction was shrunk to 3/4.
        var denoiser = TweedieDenoiser(steps: 2)
        let evidence = TweedieDenoiser.Evidence(node: 5, order: 3, confidence: 2, match: 0, last: 65)
        let shrunk = TweedieDenoiser.one / 4 * 3
        for i in 0..<2000 {
            _ = denoiser.denoise(shrunk, evidence)
            denoiser.update(i % 16 != 7)
        }
        let found = Double(denoiser.denoise(shrunk, evidence)) / Double(TweedieDenoiser.one)
        #expect(abs(found - 15.0 / 16) < 0.02)
    }

    @Test func denoiserLeavesWhatIsRight() {
        var denoiser = TweedieDenoiser(steps: 3)
        let evidence = TweedieDenoiser.Evidence(node: 1, order: 0, confidence: 0, match: 0, last: 0)
        for i in 0..<4000 {
            _ = denoiser.denoise(TweedieDenoiser.one / 4 * 3, evidence)
            denoiser.update(i % 4 != 2)
        }
        let found = Double(denoiser.denoise(TweedieDenoiser.one / 4 * 3, evidence)) / Double(TweedieDenoiser.one)
        #expect(abs(found - 0.75) < 0.01)
    }

    @Test func weightsFollowTheBetterModel() {
        var weights = BlendWeights(initial: [32768, 32768])
        for _ in 0..<2000 {
            _ = weights.learn(0, upper: 1 << 31, lower: 1 << 28)
            _ = weights.learn(1, upper: 0, lower: 1 << 28)
        }
        #expect(weights[0] > 60_000)
        #expect(weights[1] < 1000)
    }

    @Test func countsStayInBounds() {
        var counts = ContextCounts()
        for i in 0..<5000 { counts.learn(UInt8(i % 3), in: counts.find(77), hash: 77) }
        let context = counts.contexts[Int(counts.find(77))]
        #expect(context.distinct == 3)
        let sum = (0..<3).reduce(0) { $0 + counts.count(of: UInt8($1), in: counts.find(77)) }
        #expect(sum == UInt32(context.total))
        #expect(counts.find(78) == ContextCounts.none)
    }

    @Test func everythingIsForgottenWhenFull() {
        var counts = ContextCounts(contextLimit: 100)
        for i in 0..<1000 {
            let hash = UInt64(i) &* 0x9E37_79B9_7F4A_7C15
            counts.learn(1, in: counts.find(hash), hash: hash)
            counts.forgetIfFull()
        }
        #expect(counts.contexts.count < 100)
    }
}
