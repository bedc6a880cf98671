import Foundation
import PithCore
import PithModels

/// The tiny random models of `Tests/Golden/logits`, which have no knowledge but every part of a real one.
public enum GoldenModels {
    /// The folder with all of them.
    public static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Golden/logits").standardizedFileURL.path

    /// The names of the models; each is a folder.
    public static let names = [
        "grouped-untied", "multi-query-tied", "head-dim", "llama3-rope", "llama-biases", "mistral-window", "qwen2",
        "qwen2-windows", "qwen3", "qwen3-biases", "gemma2", "gemma3", "gemma3-pattern",
    ]

    /// The folder of one model.
    public static func path(_ name: String) -> String { joinPath(folder, name) }

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
        let weight = description.output.norm.weight
        self[vector: weight] = self[vector: weight].map { $0 * factor }
    }
}
