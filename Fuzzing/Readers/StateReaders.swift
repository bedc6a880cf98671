import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTraining
import PithWeights

extension Reader {
    // MARK: Training

    /// What `pith train --resume` goes on from.
    static let trainingState = Reader(
        "training-state",
        seeds: {
            let scratch = try Scratch()
            let path = joinPath(scratch.path, "a.safetensors")
            let begun = try trainer()
            begun.takeStep()
            try begun.saveCheckpoint(to: path)
            return [try Files.bytes(path)]
        }
    ) { (bytes, scratch) throws(PithError) in
        let begun = try trainer()
        try begun.resume(from: scratch.file("a.safetensors", bytes))
        begun.takeStep()
    }

    private static func trainer() throws(PithError) -> Trainer {
        let configuration = try TrainingConfiguration(
            json: [
                "vocabularySize": 8, "hiddenSize": 4, "layerCount": 1, "headCount": 1, "intermediateSize": 4,
                "contextLength": 8, "sequenceLength": 4, "batchSize": 1, "steps": 3, "gradientLanes": 1,
            ])
        return try Trainer(configuration, tokens: (0..<40).map { $0 * $0 % 7 }, pool: pool)
    }

    // MARK: Compression

    /// What `pith compress --resume` goes on from.
    static let compressionState = Reader(
        "compression-state", seeds: { [try compressionSeed()] }
    ) { (bytes, scratch) throws(PithError) in
        _ = try scratch.folder(bytes)
        try compressor().run(into: joinPath(scratch.path, "out"), isResumed: true)
    }

    private static func compressor() throws(PithError) -> ModelCompressor {
        try ModelCompressor(
            ModelSource(Seeds.goldenPath("logits/qwen2")), plan: RunPlan(parsing: "rtn:bits=4"), calibration: nil,
            pool: pool)
    }

    /// What stopped work leaves.
    private static func compressionSeed() throws -> [UInt8] {
        let (scratch, stop) = (try Scratch(), StopRequest())
        stop.raise()
        try compressor().run(into: joinPath(scratch.path, "out"), stop: stop)
        let names = try ["out.part", "out.part/model"].flatMap { folder in
            try Files.names(in: joinPath(scratch.path, folder)).sorted().map { "\(folder)/\($0)" }
        }
        return try Seeds.bundle(scratch.path, names.filter { !Files.isFolder(joinPath(scratch.path, $0)) })
    }

    // MARK: Sequences

    /// Keys, values and recurrent states that were saved.
    static let sequenceState = Reader(
        "sequence-state",
        seeds: { try (0..<stateModels.count).map { [UInt8($0)] + (try savedState(stateModels[$0])) } }
    ) { (bytes, scratch) throws(PithError) in
        guard let first = bytes.first else { return }
        let model = stateModels[Int(first) % stateModels.count]
        let file = try SafetensorsFile(scratch.file("a.safetensors", bytes.dropFirst()))
        var (state, tensors) = (model.makeState(), [String: StoredTensor]())
        for name in file.names { tensors[name] = file[name] }
        try state.restore(tensors)
        _ = try model.nextLogits([1], state: &state)
    }

    private static let stateModels: [LanguageModel] = ["qwen2", "mamba", "rwkv7"].compactMap {
        try? ModelSource(Seeds.goldenPath("logits/\($0)")).loadModel(layouts: WeightLayouts.catalogue, pool: pool)
    }

    private static func savedState(_ model: LanguageModel) throws -> [UInt8] {
        let scratch = try Scratch()
        let path = joinPath(scratch.path, "a.safetensors")
        var state = model.makeState()
        _ = try model.nextLogits([1, 2, 3], state: &state)
        try SafetensorsWriter.write(
            state.stored.sorted { $0.key < $1.key }.map { (name: $0.key, tensor: $0.value) }, to: path)
        return try Files.bytes(path)
    }
}
