import PithCore
import PithModels

extension TrainingBase {
    /// About how many bytes a run takes at most on so many threads: the model as it is stored or as floats, what learns
    /// with its moments and gradients, and what a tape keeps of some hundred rows.
    public func memory(_ settings: TrainingSettings, threads: Int) -> ByteCount {
        let (description, configuration) = (source.description, source.configuration)
        let model = isAdapting ? storedBytes : 0
        let learned = 4 * Double(learnedCount) * Double(3 + settings.gradientLanes)
        let rows = Double(max(GradientLanes.rowsTogether, settings.sequenceLength))
        let layers = description.layers.count
        let widest = description.layers.indices.map { description.valueWidth(ofLayer: $0) }.max() ?? 0
        // Values and their gradients, and of attention the probabilities of half a square for each head.
        let square = configuration.headCount * settings.sequenceLength / 2
        let layer = 4 * rows * Double(2 * widest + square)
        let kept = settings.recompute ? 4 * rows * Double(description.streamWidth * layers) : layer * Double(layers - 1)
        let logits = 4 * 256 * Double(configuration.vocabularySize)
        let tapes = Double(min(threads, settings.gradientLanes)) * (layer + kept + logits)
        return ByteCount(Int(min(Double(model) + learned + tapes + 0x1p26, 0x1p62)))
    }

    /// The settings that keep a run within so many bytes: layers run twice where that is needed. Throws where it is not
    /// enough.
    public func settings(
        _ settings: TrainingSettings, within limit: ByteCount, threads: Int
    ) throws(PithError) -> TrainingSettings {
        var settings = settings
        if memory(settings, threads: threads).value > limit.value { settings.recompute = true }
        let needed = memory(settings, threads: threads)
        guard needed.value <= limit.value else {
            throw .usage(
                "training takes about \(needed), the limit is \(limit)",
                remedy: "fewer --threads, a smaller gradientLanes or sequenceLength, or adapters")
        }
        return settings
    }
}
