import PithFormats
import PithModels

extension Trainer {
    /// Floating-point operations that a step needs for one token: 2 forward for each weight of a product, 2 back to its
    /// inputs, and 2 to the weight if it learns (the look-up of an embedding costs none, the head does); and for each
    /// layer and query head 12 · headDimension for each of the (length + 1) / 2 keys that a query sees on average. What
    /// is computed twice counts once.
    public var operationsPerToken: Double {
        let description = model.description
        var products = 0.0
        for (index, spec) in description.parameters.enumerated() {
            let isHead = description.output?.matrix.index == index
            guard spec.kind == .matrix && !spec.name.contains(".experts.") || isHead else { continue }
            products += Double(spec.count) * (model.places[index] == nil ? 4 : 6)
        }
        let added = model.adaptation == nil ? 0 : 6 * Double(parameterCount)
        return products + added + attentionOperations
    }

    private var attentionOperations: Double {
        let shapes = model.description.caches
        let heads: Int
        switch origin {
        case .sizes(let sizes): heads = sizes.headCount
        case .model(let base): heads = base.source.configuration.headCount
        }
        let width = shapes.reduce(0) { $0 + heads * $1.keySize }
        return 6 * Double(width) * Double(settings.sequenceLength + 1)
    }
}
