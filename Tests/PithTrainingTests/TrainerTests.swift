import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTraining
import Testing

/// A model that trains in milliseconds, with shapes that are no multiples of vectors.
func smallConfiguration(isTied: Bool = true) throws -> TrainingConfiguration {
    let model = try ModelConfiguration(
        hiddenSize: 20, layerCount: 2, headCount: 4, keyValueHeadCount: 2, headDimension: 6, intermediateSize: 27,
        vocabularySize: 37, contextLength: 24, tiesEmbeddings: isTied)
    var configuration = TrainingConfiguration(model: model)
    configuration.batchSize = 3
    configuration.accumulation = 2
    configuration.steps = 12
    configuration.warmupSteps = 3
    configuration.learningRate = 1e-2
    configuration.gradientLanes = 4
    return configuration
}

/// Tokens in which each follows from the one before the last, most of the time.
func patternedTokens(_ count: Int, vocabulary: Int = 37) -> [Int32] {
    var generator = SeededGenerator(seed: 5)
    var tokens: [Int32] = [1, 2]
    while tokens.count < count {
        let next = (Int(tokens[tokens.count - 2]) * 3 + 5) % vocabulary
        tokens.append(generator.uniform() < 0.05 ? Int32(generator.index(below: vocabulary)) : Int32(next))
    }
    return tokens
}

/// A folder that is removed when `body` is done.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let folder = joinPath(NSTemporaryDirectory(), "pith-training-\(UUID().uuidString)")
    try Files.makeFolder(folder)
    defer { try? Files.remove(folder) }
    try body(folder)
}

@Suite("The trainer")
struct TrainerTests {
    let pool = ThreadPool(threads: 2)

    @Test("the whole model's gradient agrees with finite differences", arguments: [true, false])
    func wholeModel(isTied: Bool) throws {
        let trainer = try Trainer(smallConfiguration(isTied: isTied), tokens: patternedTokens(500), pool: pool)
        // Far from the small weights of the start, so that every part matters.
        var generator = SeededGenerator(seed: 3)
        let start = trainer.weightValues.map { $0 + 0.2 * generator.normal() }
        trainer.weightValues = start
        let (_, gradient) = trainer.lossAndGradient()
        func loss(_ weights: [Float]) -> Double {
            trainer.weightValues = weights
            return trainer.lossAndGradient().loss
        }
        for (name, range) in trainer.parameterRanges {
            var (above, below) = (start, start)
            var slope = 0.0
            // Along the gradient's own signs the slope is far above the rounding of the loss.
            for i in range {
                let step: Float = gradient[i] < 0 ? -1e-3 : 1e-3
                above[i] += step
                below[i] -= step
                slope += Double(gradient[i]) * (Double(above[i]) - Double(below[i]))
            }
            let difference = loss(above) - loss(below)
            #expect(slope > 1e-6, "\(name) has no gradient")
            #expect(abs(difference - slope) < 0.01 * slope + 2e-6, "\(name): \(slope) is not \(difference)")
        }
    }

    @Test("a pattern is learned")
    func learning() throws {
        var configuration = try smallConfiguration()
        configuration.steps = 300
        let trainer = try Trainer(configuration, tokens: patternedTokens(5000), pool: pool)
        #expect(try trainer.run())
        // From log 37 = 3.6 far below; what is random needs some 0.4.
        #expect(trainer.smoothedLoss < 2, "\(trainer.smoothedLoss)")
    }

    @Test("one thread and three give the same bits")
    func threads() throws {
        let runs = try [1, 3].map { threads in
            let trainer = try Trainer(
                smallConfiguration(), tokens: patternedTokens(900), pool: ThreadPool(threads: threads))
            _ = try trainer.run()
            return trainer
        }
        #expect(runs[0].weightValues.map(\.bitPattern) == runs[1].weightValues.map(\.bitPattern))
        let heldOut = patternedTokens(100)
        #expect(
            try runs[0].bitsPerByte(of: heldOut, byteCount: 300) == runs[1].bitsPerByte(of: heldOut, byteCount: 300))
    }

    @Test("a run with a pause gives the bits of a run without")
    func resume() throws {
        try withTemporaryFolder { folder in
            let (configuration, tokens) = (try smallConfiguration(), patternedTokens(900))
            let straight = try Trainer(configuration, tokens: tokens, pool: pool)
            #expect(try straight.run())

            let path = joinPath(folder, "checkpoint.safetensors")
            let before = try Trainer(configuration, tokens: tokens, pool: pool)
            let isComplete = try before.run(checkpoint: path) { report in
                if report.step == 5 { before.stopRequest.raise() }
            }
            #expect(!isComplete && before.step == 5)
            let after = try Trainer(configuration, tokens: tokens, pool: pool)
            try after.resume(from: path)
            #expect(after.step == 5)
            #expect(try after.run(checkpoint: path))
            #expect(after.weightValues.map(\.bitPattern) == straight.weightValues.map(\.bitPattern))
            #expect(after.smoothedLoss == straight.smoothedLoss)
        }
    }

    @Test("a resume with other inputs is refused and says what differs")
    func refusedResume() throws {
        try withTemporaryFolder { folder in
            let path = joinPath(folder, "checkpoint.safetensors")
            let (configuration, tokens) = (try smallConfiguration(), patternedTokens(900))
            let trainer = try Trainer(configuration, tokens: tokens, pool: pool)
            trainer.takeStep()
            try trainer.saveCheckpoint(to: path)

            var other = configuration
            other.learningRate = 0.5
            other.checkpointInterval = 7
            let refusal = #expect(throws: PithError.self) {
                try Trainer(other, tokens: tokens, pool: pool).resume(from: path)
            }
            #expect(refusal?.message.contains("learningRate is 0.5, not 0.01") == true)
            #expect(refusal?.message.contains("checkpointInterval") == false)

            let otherTokens = #expect(throws: PithError.self) {
                try Trainer(configuration, tokens: patternedTokens(901), pool: pool).resume(from: path)
            }
            #expect(otherTokens?.message.contains("other tokens") == true)
        }
    }

    @Test("a broken checkpoint is refused and changes nothing", arguments: [0, 9, 400, 5000, -1])
    func brokenCheckpoint(length: Int) throws {
        try withTemporaryFolder { folder in
            let path = joinPath(folder, "checkpoint.safetensors")
            let trainer = try Trainer(smallConfiguration(), tokens: patternedTokens(900), pool: pool)
            trainer.takeStep()
            try trainer.saveCheckpoint(to: path)
            var bytes = try Files.bytes(path)
            bytes.removeLast(length < 0 ? 1 : bytes.count - length)
            try AtomicFile.write(bytes, to: path)
            let before = trainer.weightValues
            #expect(throws: PithError.self) { try trainer.resume(from: path) }
            #expect(trainer.weightValues == before && trainer.step == 1)
        }
    }

    @Test("the exported folder holds the configuration and the weights under their names", arguments: [true, false])
    func export(isTied: Bool) throws {
        try withTemporaryFolder { folder in
            var configuration = try smallConfiguration(isTied: isTied)
            configuration.outputType = .float32
            let trainer = try Trainer(configuration, tokens: patternedTokens(900), pool: pool)
            try trainer.exportModel(to: folder)
            #expect(try Architectures.open(folder: folder).configuration == configuration.model)
            let archive = try TensorArchive(folder: folder)
            #expect(archive.names.count == trainer.parameterRanges.count)
            #expect(archive.contains("lm_head.weight") == !isTied)
            for (name, range) in trainer.parameterRanges {
                #expect(try archive.tensor(name).decoded().values == Array(trainer.weightValues[range]))
            }
            #expect(try archive.tensor("model.layers.1.self_attn.k_proj.weight").shape == [12, 20])
            #expect(try archive.tensor("model.norm.weight").shape == [20])
        }
    }

    @Test("held-out bits per byte: a model that knows nothing needs log2 of the vocabulary for each token")
    func evaluation() throws {
        let trainer = try Trainer(smallConfiguration(), tokens: patternedTokens(900), pool: pool)
        trainer.weightValues = trainer.weightValues.map { _ in 0 }
        for count in [1, 2, 25, 26, 61] {
            let bits = try trainer.bitsPerByte(
                of: patternedTokens(count).prefix(count).map { $0 }, byteCount: 3 * count)
            #expect(abs(bits - 5.209_453_37 / 3) < 1e-5)
        }
        #expect(throws: PithError.self) { try trainer.bitsPerByte(of: [], byteCount: 1) }
        #expect(throws: PithError.self) { try trainer.bitsPerByte(of: [37], byteCount: 1) }
    }

    @Test("tokens that do not fit are refused")
    func wrongTokens() throws {
        let configuration = try smallConfiguration()
        #expect(throws: PithError.self) { try Trainer(configuration, tokens: patternedTokens(24), pool: pool) }
        #expect(throws: PithError.self) {
            try Trainer(configuration, tokens: patternedTokens(100) + [-1], pool: pool)
        }
    }
}
