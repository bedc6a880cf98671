import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor

/// The tiny random models of `Tests/Golden/logits`, which have no knowledge but every part of a real one.
public enum GoldenModels {
    /// The folder with all of them.
    public static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Golden/logits").standardizedFileURL.path

    /// The names of the models; each is a folder.
    public static let names = [
        "grouped-untied", "multi-query-tied", "head-dim", "llama3-rope", "llama-biases", "mistral-window", "qwen2",
        "qwen2-windows", "qwen3", "qwen3-biases", "gemma2", "gemma3", "gemma3-pattern", "dynamic-rope", "yarn-rope",
        "mixtral", "qwen2-moe", "qwen3-moe", "phi3", "phi3-longrope", "gpt2", "gpt2-switches", "gpt-neox",
        "gpt-neox-serial", "mamba", "mamba-biases",
        "rwkv4", "rwkv5.1", "rwkv5.2", "rwkv6", "rwkv7",
    ]

    /// The names of those that make no logits.
    public static let encoders = ["bert", "bert-masked"]

    /// Those whose angles do not change with the length that is read: their texts are the same however they are cut.
    public static let steadyNames = names.filter { !["dynamic-rope", "phi3-longrope"].contains($0) }

    /// Those with a state in the place of a cache.
    public static let recurrentNames = names.filter { $0.hasPrefix("mamba") || $0.hasPrefix("rwkv") }

    /// The folder of one model.
    public static func path(_ name: String) -> String { joinPath(folder, name) }

    /// Copies what belongs to a model and is not weights into the new folder `target`.
    public static func copyWithoutWeights(_ name: String, to target: String) throws {
        let model = try ModelSource(path(name))
        try Files.makeFolder(target)
        for file in try model.companions().files {
            try Files.copy(joinPath(model.path, file), to: joinPath(target, file))
        }
    }

    /// Writes a narrow model of random weights into a folder, for one of the tokenizers of `Tests/Golden`; `change` may give
    /// it other extents.
    public static func writeRandomModel(
        tokenizer: String, to folder: String, seed: UInt64 = 1, change: (inout ModelConfiguration) -> Void = { _ in }
    ) throws {
        let file = joinPath(self.folder, "../\(tokenizer).tokenizer.json")
        var c = try ModelConfiguration(
            hiddenSize: 16, layerCount: 1, headCount: 2, keyValueHeadCount: 1, intermediateSize: 24,
            vocabularySize: Tokenizer(json: JSONValue(contentsOf: file)).vocabularySize, contextLength: 64,
            tiesEmbeddings: true)
        change(&c)
        var random = SeededGenerator(seed: seed)
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for spec in Llama(c).describe().parameters {
            let values =
                switch spec.kind {
                case .table: random.normalTensor(spec.shape)
                case .matrix, .router: random.normalTensor(spec.shape, scale: 0.3)
                case .vector: Tensor(shape: spec.shape, values: [Float](repeating: 1, count: spec.count))
                }
            tensors.append((spec.name, StoredTensor(values)))
        }
        try SafetensorsWriter.write(tensors, to: joinPath(folder, TensorArchive.fileName))
        try Llama.document(c).write(to: joinPath(folder, ModelConfiguration.fileName))
        try Files.copy(file, to: joinPath(folder, "tokenizer.json"))
    }

    /// Letters in random order: what these models' tokenizers know.
    public static func text(letters: Int, seed: UInt64 = 1) -> String {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return String(
            (0..<letters).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8(state >> 33 & 0xFF) % 26))
            })
    }
}

extension LanguageModel {
    /// Makes all logits larger or smaller.
    public mutating func scaleFinalNorm(by factor: Float) {
        guard let weight = description.output?.norm.weight else { return }
        self[vector: weight] = self[vector: weight].map { $0 * factor }
    }
}
