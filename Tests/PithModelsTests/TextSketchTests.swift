import PithModels
import PithTensor
import Testing

@Suite("Which part of a text was calibrated on")
struct TextSketchTests {
    /// Sentences of random words.
    private func text(_ words: Int, seed: UInt64) -> String {
        var random = SeededGenerator(seed: seed)
        return (0..<words).map { _ in "w\(random.index(below: 5000))" }.joined(separator: " ")
    }

    @Test func sharesAreEstimated() {
        let (first, second) = (text(20_000, seed: 1), text(20_000, seed: 2))
        let sketch = TextSketch(of: first)
        #expect(sketch.fingerprints.count == 256)
        #expect(sketch.share(of: first) == 1)
        #expect(sketch.share(of: second) < 0.01)
        #expect(abs(sketch.share(of: first + second) - 0.5) < 0.1)
        // A passage, other line breaks.
        let passage = String(first.dropFirst(30_000).prefix(8000)).replacing(" ", with: "\n  ")
        #expect(sketch.share(of: passage) > 0.9)
    }

    @Test func shortAndOddTexts() {
        #expect(TextSketch(of: "").share(of: "a") == 0 && TextSketch(of: "a").share(of: "") == 0)
        #expect(TextSketch(of: "one two").share(of: "one  two") == 1)
        #expect(TextSketch(of: "one two").share(of: "one three") == 0)
        let repeated = String(repeating: "the same again and again, for as long as it takes. ", count: 40)
        #expect(TextSketch(of: repeated).share(of: String(repeated.prefix(900))) == 1)
        let chinese = String(repeating: "模型压缩以后还能说出同样的话吗", count: 3) + "也许可以"
        #expect(TextSketch(of: chinese).share(of: chinese) == 1)
    }

    @Test func manifestsKeepIt() throws {
        let record = CompressionManifest.CalibrationRecord(
            name: "a", sha256: "0", tokenCount: 1, sequenceLength: 2, sketch: TextSketch(of: text(500, seed: 3)))
        let manifest = CompressionManifest(
            spec: "gptq", seed: 1, source: [:], calibration: record, weights: [:],
            checksums: StoredChecksums(["w": 1, "v": .max]))
        let again = try CompressionManifest(json: manifest.json)
        #expect(again.calibration == record && again.checksums == manifest.checksums)
        #expect(again.calibration?.share(of: text(500, seed: 3)) == 1)
    }
}
