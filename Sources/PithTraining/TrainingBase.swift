import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTokens

/// A model that a run goes on with, and what of it learns: all weights, or adapters.
public struct TrainingBase {
    /// Where it is stored.
    public let source: ModelSource
    /// What adapters do; nil where all weights learn.
    let adaptation: Adaptation?
    private let model: LanguageModel
    private let fingerprint: ModelFingerprint

    /// Takes a model that was loaded from `source`. Throws where it has no logits, and where `adapters` do not fit.
    public init(
        _ source: ModelSource, _ model: LanguageModel, adapters: Spec? = nil, pool: ThreadPool
    ) throws(PithError) {
        try source.requireOutput()
        (self.source, self.model) = (source, model)
        adaptation = try adapters.map { (spec) throws(PithError) in try Adaptation(spec, for: model.description) }
        fingerprint = try ModelFingerprint(source, pool: pool)
    }

    /// Bytes of the model in memory, as it is stored.
    var storedBytes: Int { model.memoryBits / 8 }
    /// Whether adapters learn and the model stays as it is.
    public var isAdapting: Bool { adaptation != nil }
    /// The number of weights that learn.
    public var learnedCount: Int {
        adaptation.map { $0.specs.reduce(0) { $0 + $1.count } } ?? model.description.weightCount
    }
    /// Tokens that a sequence may have.
    public var contextLength: Int {
        let ahead = (adaptation?.prompt).flatMap { adaptation?.specs[$0].shape[0] } ?? 0
        return max(1, model.configuration.contextLength - ahead)
    }

    /// The usual settings of a run.
    public var settings: TrainingSettings {
        TrainingSettings(continuing: contextLength, learned: learnedCount, isAdapting: isAdapting)
    }

    /// The token that stands between documents: the one that the model's texts begin with, else the usual separator,
    /// else the one that ends texts.
    func separator() throws(PithError) -> Int32 {
        let tokenizer = source.tokenizer
        let token =
            tokenizer.beginning.first ?? tokenizer.identifier(of: TrainingText.separator) ?? source.endTokens.first
        guard let token else {
            throw .data("the tokenizer has no token that could stand between documents", at: source.path)
        }
        return Int32(token)
    }

    /// The model's files, in a few letters.
    var identity: String { String(fingerprint.value, radix: 16) }

    /// What decides a run's result besides its settings and tokens.
    var decisive: JSONObject {
        var object = JSONObject()
        object["base model"] = .string(identity)
        object["adapters"] = .string(adaptation?.spec.description ?? "none")
        return object
    }

    /// The model as it is before the first step.
    func learnedModel(seed: UInt64) -> LearnedModel {
        guard let adaptation else { return LearnedModel(continuing: model) }
        return LearnedModel(adapting: model, by: adaptation, seed: seed)
    }
}
