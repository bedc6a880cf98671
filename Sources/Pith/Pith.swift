// The umbrella: `import Pith` brings all modules.
@_exported import PithArchive
@_exported import PithBuiltIn
@_exported import PithCoding
@_exported import PithConversion
@_exported import PithCore
@_exported import PithEvaluation
@_exported import PithFormats
@_exported import PithModels
@_exported import PithPredictors
@_exported import PithTensor
@_exported import PithTokens
@_exported import PithTraining
@_exported import PithWeights

extension ModelSource {
    /// Opens a model folder by its path, or a built-in model by its name, for example `nano`.
    public static func open(_ pathOrName: String) throws(PithError) -> ModelSource {
        if !Files.exists(pathOrName), let builtIn = BuiltIn.modelFolder(pathOrName) { return try ModelSource(builtIn) }
        guard Files.exists(pathOrName) else {
            throw .data(
                "does not exist", at: pathOrName,
                remedy:
                    "give a model folder, a .gguf file, or a built-in model: \(BuiltIn.modelNames.joined(separator: ", "))"
            )
        }
        return try ModelSource(pathOrName)
    }

    /// The model with all layouts that Pith knows. An encoder, which has no logits, is refused unless it is asked for.
    public func loadModel(
        pool: ThreadPool = ThreadPool(), allowingEncoders: Bool = false
    ) throws(PithError) -> LanguageModel {
        try loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: allowingEncoders)
    }
}
