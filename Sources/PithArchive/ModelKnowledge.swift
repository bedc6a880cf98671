import PithCore
import PithPredictors

/// What a language model knows of content that may be coded with it.
package enum ModelKnowledge {
    // Bytes of each piece of the sample, and how many pieces there are.
    private static let (pieceSize, pieceCount) = (4096, 4)
    /// Of text that a model needs more bits for, the models that learn on the way know more. What `nano` needs 1.73 bits
    /// a byte for alone becomes 1.5 % smaller with it, and larger by 1.2 % at 2.24 and by 2.3 % at 2.52.
    private static let limit = 2

    /// Whether coding with a model is likely to make content smaller: a sample takes the model at most 2 bits a byte.
    package static func helps(_ model: String, with content: [UInt8], _ context: CodingContext) throws(PithError)
        -> Bool
    {
        var sample: [UInt8] = []
        for piece in 0..<pieceCount {
            let start = content.count * piece / pieceCount
            sample += content[start..<min(start + pieceSize, content.count * (piece + 1) / pieceCount)]
        }
        let method = try DataCatalogue.method(
            for: Spec(stages: [.init(name: LanguageModelCoding.entry.identifier, options: [("model", model)])]))
        let coded = try method.encode(sample, CodingContext(pool: context.pool, models: context.models))
        return coded.count * 8 <= limit * sample.count
    }
}
