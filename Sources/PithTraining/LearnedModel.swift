import PithCore
import PithModels
import PithTensor

/// A model as a run learns it. What learns lies in one block of floats: all parameters, or those that adapters add and
/// let learn; the others stay in the form in which they are stored.
package final class LearnedModel {
    /// What is computed.
    package let description: ModelDescription
    /// Tokens that the model knows.
    package let vocabularySize: Int
    /// Tokens that it reads at most.
    package let contextLength: Int
    /// Where what learns lies.
    package let parameterSet: ParameterSet
    /// All that learns, gaps included.
    let weights: FloatBuffer
    /// For each parameter of the description its place in the set; nil where it does not learn.
    let places: [Int?]
    /// What adapters do; nil where all parameters learn.
    let adaptation: Adaptation?
    /// The model that adapters are added to.
    private let base: LanguageModel?
    /// The vectors that do not learn, by the parameter's index.
    private let frozenVectors: [Int: FloatBuffer]

    private init(
        _ description: ModelDescription, vocabularySize: Int, contextLength: Int, _ specs: [ParameterSpec],
        places: [Int?], adaptation: Adaptation?, base: LanguageModel?
    ) {
        (self.description, self.vocabularySize, self.contextLength) = (description, vocabularySize, contextLength)
        (parameterSet, self.places) = (ParameterSet(specs), places)
        (self.adaptation, self.base) = (adaptation, base)
        weights = FloatBuffer(count: parameterSet.count)
        var vectors: [Int: FloatBuffer] = [:]
        if let base {
            for (index, spec) in description.parameters.enumerated() where spec.kind == .vector {
                guard places[index] == nil else { continue }
                let buffer = FloatBuffer(count: spec.count)
                buffer.pointer.update(from: base[vector: ParameterID(index)], count: spec.count)
                vectors[index] = buffer
            }
        }
        frozenVectors = vectors
    }

    /// A model that begins with weights drawn from the seed.
    convenience init(_ description: ModelDescription, vocabularySize: Int, contextLength: Int, seed: UInt64) {
        self.init(
            description, vocabularySize: vocabularySize, contextLength: contextLength, description.parameters,
            places: Array(description.parameters.indices), adaptation: nil, base: nil)
        var generator = SeededGenerator(seed: seed)
        parameterSet.initialize(
            parameterSet.entries, of: weights, layerCount: description.layers.count, from: &generator)
    }

    /// A model of which all parameters learn, from their values in `model` on.
    convenience init(continuing model: LanguageModel) {
        let description = model.description
        self.init(
            description, vocabularySize: model.configuration.vocabularySize,
            contextLength: model.configuration.contextLength, description.parameters,
            places: Array(description.parameters.indices), adaptation: nil, base: nil)
        takeValues(of: model)
    }

    /// A model with adapters that begin with values drawn from the seed.
    convenience init(adapting model: LanguageModel, by adaptation: Adaptation, seed: UInt64) {
        let description = model.description
        var places = [Int?](repeating: nil, count: description.parameters.count)
        for (place, id) in adaptation.learned { places[id.index] = place }
        self.init(
            description, vocabularySize: model.configuration.vocabularySize,
            contextLength: model.configuration.contextLength, adaptation.specs, places: places,
            adaptation: adaptation, base: model)
        var generator = SeededGenerator(seed: seed)
        parameterSet.initialize(
            parameterSet.entries, of: weights, layerCount: description.layers.count, from: &generator)
        takeValues(of: model)
        if let place = adaptation.prompt { beginPrompt(parameterSet.entries[place], model, &generator) }
    }

    /// Rows that stand in front of the tokens of each sequence.
    var promptLength: Int { (adaptation?.prompt).map { parameterSet.entries[$0].rows } ?? 0 }

    /// The values of the parameters that learn, as `model` has them.
    func takeValues(of model: LanguageModel) {
        for (index, place) in places.enumerated() {
            guard let place else { continue }
            parameterSet.load(parameterSet.entries[place], into: weights, from: model, ParameterID(index))
        }
    }

    /// Vectors in front begin as those of some tokens.
    private func beginPrompt(
        _ entry: ParameterSet.Entry, _ model: LanguageModel, _ generator: inout SeededGenerator
    ) {
        let tokens = (0..<entry.rows).map { _ in [generator.index(below: vocabularySize)] }
        let rows = model.embed(tokens)
        weights.pointer.advanced(by: entry.offset).update(from: rows.values, count: entry.count)
    }

    /// A parameter that no adapter lets learn.
    func frozen(_ index: Int) -> TapeWeight {
        if let vector = frozenVectors[index] {
            return .values(Variable(rows: 1, columns: vector.count, values: vector.pointer, isFrozen: true))
        }
        guard let base else { preconditionFailure("all parameters of the model learn") }
        return .stored(base[matrix: ParameterID(index)])
    }
}
