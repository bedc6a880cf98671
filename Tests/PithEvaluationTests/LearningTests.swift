import Foundation
import Pith
import PithTestSupport
import Testing

@Suite("What learners find in data")
struct LearningTests {
    private let pool = ThreadPool(threads: 2)

    private var small: Epiplexity {
        var measure = Epiplexity()
        (measure.window, measure.width, measure.layers, measure.batch) = (32, 32, 1, 8)
        return measure
    }

    @Test func noiseHasLittleStructureAndPatternsHaveMuch() throws {
        var generator = SeededGenerator(seed: 1)
        let noise = (0..<16_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let words = ["red ", "green ", "blue ", "yellow ", "and ", "or "].map { Array($0.utf8) }
        var text: [UInt8] = []
        while text.count < 16_000 { text += words[generator.index(below: words.count)] }
        let (random, patterned) = (
            try small.measure(noise, pool: pool), try small.measure(Array(text[..<16_000]), pool: pool)
        )
        #expect(random.structure.value < 0.1 * patterned.structure.value)
        #expect(abs(random.finalRate.value - 8) < 0.2 && patterned.finalRate.value < 5)
        for result in [random, patterned] {
            let coded = result.curve.reduce(0, +) * Double(result.bytes / result.curve.count)
            #expect(abs(result.structure.value + result.noise.value - coded) < 1e-6 * coded)
        }
        #expect(throws: PithError.self) { try small.measure(Array(noise[..<100]), pool: pool) }
    }

    @Test func aStudentLearnsWithoutTheData() throws {
        var measure = small
        measure.hasStudent = true
        var generator = SeededGenerator(seed: 1)
        let noise = (0..<24_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let pattern = (0..<24_000).map { UInt8("abc, abd; ".utf8.map { $0 }[$0 % 10]) }
        let (random, patterned) = (try measure.measure(noise, pool: pool), try measure.measure(pattern, pool: pool))
        let students = (try #require(random.student), try #require(patterned.student))
        #expect(students.0.bits.value > 0 && students.0.bits.value < 0.3 * students.1.bits.value)
        #expect(abs(students.0.finalRate.value - 8) < 0.3 && students.1.finalRate.value < 5)
        // The windows are drawn alike whatever the threads.
        let alone = try measure.measure(pattern, pool: ThreadPool(threads: 1)).student
        #expect(alone?.bits == students.1.bits && alone?.finalRate == students.1.finalRate)
        #expect(try small.measure(pattern, pool: pool).student == nil)
    }

    @Test func learningDoesNotDependOnThreads() throws {
        let bytes = (0..<8000).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) }
        let one = try small.measure(bytes, pool: ThreadPool(threads: 1))
        #expect(try small.measure(bytes, pool: ThreadPool(threads: 3)).curve == one.curve)
        #expect(try small.measure(bytes, reversed: true, pool: pool).curve != one.curve)
    }

    /// Summed losses are what the range coder writes, within its overhead.
    @Test(arguments: ["grouped-untied", "head-dim"])
    func prequentialBitsAreCodedBits(name: String) throws {
        let (folder, model) = try openGolden(name)
        let evaluated = EvaluatedModel(model, tokenizer: folder.tokenizer)
        let examples = (0..<3).map { GoldenModels.text(letters: 8 + $0, seed: UInt64($0)) }
        let code = try PrequentialCode.inContext(examples, evaluated)
        let coded = try PrequentialCode.arithmeticCode(examples, evaluated)
        #expect(code.bits.count == 3 && code.bits.allSatisfy { $0 > 0 })
        #expect(Double(8 * coded.count) > code.total - 1 && Double(8 * coded.count) < code.total + 16)
        let long = [GoldenModels.text(letters: 5000)]
        #expect(throws: PithError.self) { try PrequentialCode.inContext(long, evaluated) }
    }

    /// The first example is coded by the model as it came; repeated examples become cheap to both learners.
    @Test func trainingOnExamplesHelps() throws {
        let folder = try ModelSource(GoldenModels.path("grouped-untied"))
        let example = GoldenModels.text(letters: 10)
        let examples = [String](repeating: example, count: 12)
        let trained = try PrequentialCode.testTimeTrained(
            examples, folder, steps: 3, learningRate: 1e-2, pool: pool)
        var model = try folder.loadModel(pool: pool)
        model.cache = PlainCache(.float32)
        model.precision = .float
        let first = try PrequentialCode.inContext(
            [example], EvaluatedModel(model, tokenizer: folder.tokenizer))
        #expect(abs(trained.bits[0] - first.bits[0]) < 1e-2)
        #expect(trained.bits[11] < 0.7 * trained.bits[0])
    }
}
