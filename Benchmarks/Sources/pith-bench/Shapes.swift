import Pith

/// A model to measure: the built-in one, or a common shape filled with random weights. Speed depends on shapes alone.
struct Shape: Sendable {
    /// The name on the command line.
    let name: String
    /// Extents and constants.
    let configuration: ModelConfiguration
    /// Where the model is, if it is a real one; nil if its weights are made up.
    let builtIn: ModelSource?
    /// How often a prompt is read and a text written in one sample: short work is repeated.
    let repeats: Int

    /// All shapes, smallest first.
    static func all() throws(PithError) -> [Shape] {
        let nano = try ModelSource.open("nano")
        return [
            Shape(name: "nano", configuration: nano.configuration, builtIn: nano, repeats: 5),
            Shape(
                name: "135m",
                configuration: try ModelConfiguration(
                    hiddenSize: 576, layerCount: 30, headCount: 9, keyValueHeadCount: 3, intermediateSize: 1536,
                    vocabularySize: 49152, contextLength: 2048, tiesEmbeddings: true, bosToken: 0,
                    elementType: .bfloat16),
                builtIn: nil, repeats: 1),
            Shape(
                name: "1.1b",
                configuration: try ModelConfiguration(
                    hiddenSize: 2048, layerCount: 22, headCount: 32, keyValueHeadCount: 4, intermediateSize: 5632,
                    vocabularySize: 32000, contextLength: 2048, tiesEmbeddings: false, bosToken: 0,
                    elementType: .bfloat16),
                builtIn: nil, repeats: 1),
        ]
    }

    /// The shapes of these names, or all.
    static func named(_ names: [String]) throws(PithError) -> [Shape] {
        let all = try all()
        if let unknown = names.first(where: { name in !all.contains { $0.name == name } }) {
            throw .usage(
                "there is no shape '\(unknown)'", remedy: "there are \(all.map(\.name).joined(separator: ", "))")
        }
        return names.isEmpty ? all : all.filter { names.contains($0.name) }
    }
}
