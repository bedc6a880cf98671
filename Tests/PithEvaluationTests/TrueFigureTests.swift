import Foundation
import Pith
import PithTestSupport
import PithTraining
import Testing

@Suite("Figures that are true or an error")
struct TrueFigureTests {
    private func text(_ folder: ModelSource, _ content: String, window: Int = 20) throws -> EvaluationText {
        try EvaluationText(
            content, name: "letters", tokenizer: folder.tokenizer, configuration: folder.configuration,
            windowLength: window)
    }

    private var letters: String { GoldenModels.text(letters: 100) }

    /// The place in the text, whichever model it is.
    @Test func aDivergenceOfNoNumberIsAnError() throws {
        let (folder, model) = try openGolden("grouped-untied")
        let text = try text(folder, letters)
        var broken = model
        broken[vector: try #require(broken.description.output).norm.weight][3] = .nan
        for (reference, candidates, name) in [
            (model, [broken], "the model: "), (broken, [model], "the reference: "), (broken, [], "the model: "),
            (model, [model, broken], "model 2: "),
        ] {
            let error = #expect(throws: PithError.self) {
                try Evaluator().measure(reference, against: candidates, on: text)
            }
            #expect(error?.place?.hasPrefix(name + "window 1, token 1: ") == true)
            #expect(error?.message.contains("model.norm.weight") == true)
        }
    }

    @Test func aPerplexityBeyondNumbersIsAnError() throws {
        let (folder, model) = try openGolden("grouped-untied")
        var broken = model
        broken.scaleFinalNorm(by: 1e7)
        let error = #expect(throws: PithError.self) {
            try Evaluator().measure(broken, against: [], on: try text(folder, letters))
        }
        #expect(error?.message.contains("perplexity") == true)
    }

    @Test func codeLengthsAndDatesAreToo() throws {
        let (folder, model) = try openGolden("grouped-untied")
        var broken = model
        broken[vector: broken.description.layers[1].parameters[0]][0] = .infinity
        let code = ModelCodeLength(broken, tokenizer: folder.tokenizer, name: "broken")
        let error = #expect(throws: PithError.self) { try code.lengths(of: ["abc", "def"]) }
        #expect(error?.place?.hasPrefix("text 1, token 1: layer 1") == true)
        #expect(throws: PithError.self) {
            try EmbeddingDistance(broken, tokenizer: folder.tokenizer).distances(of: ["ab"], from: ["cd"])
        }
        let evaluated = EvaluatedModel(broken, tokenizer: folder.tokenizer)
        #expect(throws: PithError.self) {
            try DatedEvaluation(windows: [20]).run(evaluated, on: [DatedText(date: "2024", text: letters)])
        }
        #expect(throws: PithError.self) { try PrequentialCode.inContext(["abc"], evaluated) }
    }

    @Test func learnersSayThatTheyLearnNoMore() throws {
        let shape = try ModelConfiguration(
            hiddenSize: 8, layerCount: 1, headCount: 2, headDimension: 4, intermediateSize: 12, vocabularySize: 11,
            contextLength: 8, tiesEmbeddings: true)
        let learner = DecoderLearner(shape, seed: 1, pool: ThreadPool(threads: 1))
        let sequences: [[Int32]] = [[1, 2, 3], [4, 5]]
        #expect(try learner.computeGradient(of: sequences).isFinite)
        learner.weights[learner.parameters[0].offset] = .nan
        learner.weights[learner.parameters[0].offset + 8] = .nan
        #expect(throws: PithError.self) { try learner.computeGradient(of: sequences) }
        let error = #expect(throws: PithError.self) { try learner.losses(of: sequences) }
        #expect(error?.place?.hasPrefix("sequence 1, token ") == true)
        var measure = Epiplexity()
        (measure.window, measure.width, measure.layers, measure.batch) = (16, 16, 1, 4)
        measure.learningRate = 1e30
        let bytes = (0..<4000).map { UInt8(truncatingIfNeeded: $0 * $0) }
        let stopped = #expect(throws: PithError.self) { try measure.measure(bytes, pool: ThreadPool(threads: 1)) }
        #expect(stopped?.place?.hasPrefix("step ") == true && stopped?.remedy?.contains("learning rate") == true)
    }

    /// Bits per byte are over the bytes of the text, whatever the tokenizer makes of them.
    @Test(arguments: [40, 7]) func bytesAreThoseOfTheText(window: Int) throws {
        let (folder, _) = try openGolden("grouped-untied")
        let content = "abc d\u{E9}f \u{4E00}\u{4E8C}xyz, \u{FB01}n\n" + letters
        #expect(try text(folder, content, window: window).byteCount == content.utf8.count)
    }

    /// Behind no beginning the first token of each window is read and not predicted.
    @Test func bytesOfWhatIsNotPredictedDoNotCount() throws {
        let (folder, _) = try openGolden("grouped-untied")
        let tokenizer = try Tokenizer(json: JSONValue(contentsOf: joinPath(folder.path, Tokenizer.fileName)))
        #expect(tokenizer.beginning.isEmpty)
        let text = try EvaluationText(
            letters, name: "", tokenizer: tokenizer, configuration: folder.configuration, windowLength: 10)
        #expect(text.tokenCount == 90 && text.byteCount == 90)
    }

    @Test(arguments: [1, 2, 3]) func shortContextsHaveAnAnswer(contextLength: Int) throws {
        let (folder, model) = try openGolden("grouped-untied")
        var short = model
        short.configuration.contextLength = contextLength
        let code = ModelCodeLength(short, tokenizer: folder.tokenizer, name: "short")
        if contextLength == 1 {
            #expect(throws: PithError.self) { try code.lengths(of: ["abcdef"]) }
        } else {
            #expect(try code.lengths(of: ["abcdef"])[0] > 0)
            #expect(try code.lengths(of: ["abcdef"], given: "ghi")[0] > 0)
        }
        for beginning in [[], [1], [1, 2], [1, 2, 3]] {
            let bits = TokenBits(short, beginning: beginning)
            guard contextLength > max(1, beginning.count) else {
                #expect(throws: PithError.self) { try bits.bits(of: [[4, 5, 6, 7]], after: beginning) }
                continue
            }
            #expect(try bits.bits(of: [[4, 5, 6, 7]], after: beginning)[0].count == 4)
        }
    }
}
