import PithCore
import PithTraining
import Testing

@Suite("Training that goes wrong") struct NonFiniteTests {
    private func trainer(_ changes: [String] = []) throws -> Trainer {
        let configuration = try TrainingConfiguration(
            json: [
                "vocabularySize": 11, "hiddenSize": 8, "layerCount": 1, "headCount": 2, "intermediateSize": 12,
                "contextLength": 8, "steps": 20, "batchSize": 2,
            ], overrides: changes)
        return try Trainer(
            configuration, tokens: (0..<64).map { Int32($0 * $0 % 11) }, pool: ThreadPool(threads: 1))
    }

    @Test func stopsWithTheStepAndARemedy() throws {
        let trainer = try trainer()
        trainer.weightValues[3] = .nan
        let error = #expect(throws: PithError.self) { _ = try trainer.run() }
        #expect(error?.message.contains("step 1") == true && error?.remedy?.contains("learningRate") == true)
    }

    @Test func measuresNothingThatIsNoNumber() throws {
        let trainer = try trainer()
        trainer.weightValues[3] = .infinity
        let error = #expect(throws: PithError.self) { try trainer.bitsPerByte(of: [1, 2, 3, 0, 4], byteCount: 5) }
        #expect(error?.place?.contains("window 1") == true)
    }

    /// What is too large for the type that is written would become infinite.
    @Test func writesNoWeightThatIsNoNumber() throws {
        let trainer = try trainer(["outputType=float16"])
        trainer.weightValues[3] = 1e6
        try withTemporaryFolder { folder in
            let error = #expect(throws: PithError.self) { try trainer.exportModel(to: folder) }
            #expect(error?.place?.hasPrefix("tensor ") == true)
        }
    }
}
