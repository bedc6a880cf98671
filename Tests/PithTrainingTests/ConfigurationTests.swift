import PithCore
import PithFormats
import PithTensor
import PithTraining
import Testing

@Suite("Training configuration")
struct ConfigurationTests {
    static let minimal = """
        {"vocabularySize": 64, "hiddenSize": 16, "layerCount": 1, "headCount": 4, "intermediateSize": 24,
        "contextLength": 32}
        """

    @Test("sizes are read, the rest has defaults")
    func defaults() throws {
        let configuration = try TrainingConfiguration(json: JSONValue(parsing: Self.minimal))
        #expect(configuration.model.headDimension == 4 && configuration.model.keyValueHeadCount == 4)
        #expect(configuration.sequenceLength == 32 && configuration.model.tiesEmbeddings)
        #expect(configuration.outputType == nil)
    }

    @Test("what was written reads back")
    func roundTrip() throws {
        var configuration = try smallConfiguration(isTied: false)
        configuration.learningRate = 3.7e-4
        configuration.outputType = .float16
        #expect(try TrainingConfiguration(json: configuration.json) == configuration)
    }

    @Test("overrides come after the file, a tokenizer's vocabulary before both")
    func overrides() throws {
        let configuration = try TrainingConfiguration(
            json: JSONValue(parsing: Self.minimal),
            overrides: ["steps=7", "learningRate=2e-3", "tiesEmbeddings=false", "outputType=float32"],
            vocabularySize: 99)
        #expect(configuration.steps == 7 && configuration.learningRate == 2e-3)
        #expect(!configuration.model.tiesEmbeddings && configuration.model.vocabularySize == 99)
        #expect(configuration.outputType == .float32)
    }

    @Test(
        "what is wrong is named",
        arguments: [
            ("stepz=3", "stepz"), ("steps=0", "steps"), ("steps=x", "steps"), ("sequenceLength=33", "sequenceLength"),
            ("beta2=1", "beta2"), ("keyValueHeadCount=3", "3"), ("headCount=3", "hiddenSize"), ("headDimension=5", "5"),
            ("outputType=int8", "int8"), ("warmupSteps=5000", "warmupSteps"), ("learningRate=-1", "learningRate"),
            ("gradientLanes=1000", "gradientLanes"), ("layerCount=1e99", "layerCount"), ("steps", "name=value"),
            ("vocabularySize=16777216", "vocabulary"),
        ])
    func errors(override: String, mentioned: String) throws {
        if override.hasPrefix("vocabularySize") {
            // Each size alone is permitted, together they are not.
            let error = #expect(throws: PithError.self) {
                try TrainingConfiguration(
                    json: JSONValue(parsing: Self.minimal), overrides: [override, "hiddenSize=16384"])
            }
            #expect(error?.description.contains("weights") == true)
            return
        }
        let error = #expect(throws: PithError.self) {
            try TrainingConfiguration(json: JSONValue(parsing: Self.minimal), overrides: [override])
        }
        #expect(error?.description.contains(mentioned) == true, "\(String(describing: error))")
    }

    @Test("the learning rate rises in a straight line and falls along a cosine")
    func schedule() throws {
        var configuration = try smallConfiguration()
        configuration.steps = 101
        configuration.warmupSteps = 20
        configuration.learningRate = 1
        configuration.finalFraction = 0.2
        #expect(configuration.settings.learningRate(atStep: 0) == 0.05)
        #expect(configuration.settings.learningRate(atStep: 19) == 1)
        #expect(configuration.settings.learningRate(atStep: 20) == 1)
        #expect(abs(configuration.settings.learningRate(atStep: 60) - 0.6) < 1e-12)
        #expect(abs(configuration.settings.learningRate(atStep: 100) - 0.2) < 1e-12)
    }
}
