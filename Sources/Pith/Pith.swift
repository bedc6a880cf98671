// The umbrella: `import Pith` brings all modules.
@_exported import PithArchive
@_exported import PithBuiltIn
@_exported import PithCoding
@_exported import PithConversion
@_exported import PithCore
@_exported import PithEvaluation
@_exported import PithFormats
@_exported import PithHub
@_exported import PithModels
@_exported import PithPredictors
@_exported import PithTensor
@_exported import PithTokens
@_exported import PithTraining
@_exported import PithWeights

extension ModelSource {
    /// Opens a model by what a person calls it, see `ModelPath`.
    public static func open(_ name: String) throws(PithError) -> ModelSource { try ModelSource(ModelPath.find(name)) }

    /// The model with all layouts that Pith knows. An encoder, which has no logits, is refused unless it is asked for.
    public func loadModel(
        pool: ThreadPool = ThreadPool(), allowingEncoders: Bool = false
    ) throws(PithError) -> LanguageModel {
        try loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: allowingEncoders)
    }
}
