import Foundation
import Pith
import PithTestSupport
import Testing

/// Tokens made by compression are what models learn from.
@Suite struct TokensTrainingTests {
    private static let configuration: JSONValue = [
        "vocabularySize": 300, "hiddenSize": 16, "layerCount": 1, "headCount": 2, "intermediateSize": 32,
        "contextLength": 32, "steps": 40, "batchSize": 4, "learningRate": 0.01, "outputType": "float32",
    ]

    private func train(_ inputs: TrainingJob.Inputs, in folder: String) throws -> (first: Double, last: Double) {
        let pool = ThreadPool(threads: 2)
        let job = try TrainingJob(inputs, workFolder: joinPath(folder, "work"), pool: pool, quiet: true)
        let trainer = try Trainer(job.configuration, tokens: job.training.tokens, pool: pool)
        let held = job.heldOut
        let first = try trainer.bitsPerByte(of: held.tokens, byteCount: held.byteCount)
        #expect(try trainer.run())
        try job.write(trainer, to: joinPath(folder, "model"))
        return (first, try trainer.bitsPerByte(of: held.tokens, byteCount: held.byteCount))
    }

    @Test func learnsFromAFileOfTokens() throws {
        try TestData.withTemporaryFolder { folder in
            let stream = try TokenStream(EqualInfoWindows(model: TokenSamples.model, bits: 10), tokenBits: 10)
            let text = try stream.encode(TrainingText(documents: [TokenSamples.prose]))
            let (tokens, config) = (joinPath(folder, "tokens.safetensors"), joinPath(folder, "config.json"))
            try TokenFile(training: text, heldOut: text, vocabularySize: stream.vocabularySize, method: "windows")
                .write(to: tokens)
            try Self.configuration.write(to: config)
            var inputs = TrainingJob.Inputs(texts: [], configuration: config)
            inputs.tokens = tokens
            let bits = try train(inputs, in: folder)
            #expect(bits.last < 0.9 * bits.first)
            #expect(!Files.exists(joinPath(folder, "model/tokenizer.json")))
        }
    }

    @Test func learnsWithALongestMatchTokenizer() throws {
        try TestData.withTemporaryFolder { folder in
            let config = joinPath(folder, "config.json")
            try AtomicFile.write(TokenSamples.prose, to: joinPath(folder, "text"))
            try Self.configuration.write(to: config)
            try EqualInfoWindows(model: TokenSamples.model, bits: 9).tokenizerDocument()
                .write(to: joinPath(folder, Tokenizer.fileName))
            var inputs = TrainingJob.Inputs(texts: [joinPath(folder, "text")], configuration: config)
            inputs.tokenizerFolder = folder
            let bits = try train(inputs, in: folder)
            #expect(bits.last < 0.9 * bits.first)
            // The folder is a model like any other.
            #expect(try ModelSource(joinPath(folder, "model")).tokenizer.vocabularySize == 513)
        }
    }

    @Test func otherFilesAreNoTokens() throws {
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "tokens.safetensors")
            let text = TokenizedText(tokens: [1, 2, 9], byteCount: 3)
            try TokenFile(training: text, heldOut: text, vocabularySize: 9, method: "").write(to: path)
            #expect(throws: PithError.self) { try TokenFile(contentsOf: path) }
            try TokenizedText.save([("training", text)], madeFrom: "", to: path)
            #expect(throws: PithError.self) { try TokenFile(contentsOf: path) }
            try AtomicFile.write([1, 2, 3], to: path)
            #expect(throws: PithError.self) { try TokenFile(contentsOf: path) }
        }
    }
}
