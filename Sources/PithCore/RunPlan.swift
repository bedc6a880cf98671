/// What a run does to a model and with it: a spec for each plane.
///
/// As text it is the planes that differ from the usual, `weights=gptq:bits=4 cache=plain:keys=bf16`, separated by
/// spaces; a spec without a plane in front is that of the weights.
public struct RunPlan: Hashable, Sendable, CustomStringConvertible {
    /// What is done to the matrices of layers.
    public var weights = Spec(stages: [])
    /// What is done to the token vectors, and to the head if it is not tied to them.
    public var embeddings = Spec(stages: [])
    /// How keys and values are kept.
    public var cache = Spec(stages: [])
    /// How finely the inputs of matrices are kept.
    public var activations = Spec(stages: [])
    /// What is done to the text that is read.
    public var context = Spec(stages: [])

    /// The planes, in the order of texts.
    private static let planes: [(name: String, path: any WritableKeyPath<RunPlan, Spec> & Sendable)] = [
        ("weights", \.weights), ("embeddings", \.embeddings), ("cache", \.cache), ("activations", \.activations),
        ("context", \.context),
    ]

    /// A plan; what is left out is as usual: the model as it came.
    public init(weights: Spec = Spec(stages: []), embeddings: Spec = Spec(stages: [])) {
        (self.weights, self.embeddings) = (weights, embeddings)
    }

    /// Whether weights are to be stored otherwise.
    public var compresses: Bool { !weights.stages.isEmpty || !embeddings.stages.isEmpty }

    /// Parses a text; a plane that is given twice is refused.
    public init(parsing text: String) throws(PithError) {
        for part in text.split(separator: " ") {
            let named = Self.planes.first { part.hasPrefix("\($0.name)=") }
            let (name, path) = named ?? Self.planes[0]
            guard self[keyPath: path].stages.isEmpty else {
                throw .usage("'\(text)' gives \(name) twice", remedy: "stages are composed with +")
            }
            self[keyPath: path] = try Spec(parsing: String(part.dropFirst(named == nil ? 0 : name.utf8.count + 1)))
        }
    }

    /// The text; parsing it gives the plan back. `none` where all is usual.
    public var description: String {
        let parts = Self.planes.filter { !self[keyPath: $0.path].stages.isEmpty }
        guard parts.map(\.name) != ["weights"] else { return weights.description }
        return parts.isEmpty ? "none" : parts.map { "\($0.name)=\(self[keyPath: $0.path])" }.joined(separator: " ")
    }

    /// What of this plan `other` does not say.
    public func beside(_ other: RunPlan) -> RunPlan {
        var result = self
        for (_, path) in Self.planes where self[keyPath: path] == other[keyPath: path] {
            result[keyPath: path] = Spec(stages: [])
        }
        return result
    }

    /// This plan where it says something, and `other` elsewhere.
    public func over(_ other: RunPlan) -> RunPlan {
        var result = other
        for (_, path) in Self.planes where !self[keyPath: path].stages.isEmpty {
            result[keyPath: path] = self[keyPath: path]
        }
        return result
    }
}
