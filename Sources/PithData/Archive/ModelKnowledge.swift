import PithCore

/// What a language model knows of content that may be coded with it.
package enum ModelKnowledge {
    // Bytes of each piece of the sample, and how many pieces there are.
    private static let (pieceSize, pieceCount) = (4096, 4)
    /// Of text that a model needs more bits for, models that learn on line know more: with the language model the
    /// Calgary corpus' programs become 3 % larger, and its English texts 1 to 3 % smaller.
    private static let limit = 3

    /// Whether coding with a model is likely to make content smaller: a sample takes the model at most 3 bits a byte.
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
