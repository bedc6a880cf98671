import PithCore
import PithFormats

/// A model as its architecture describes it: all parameters, and the blocks that use them, in the order in which they
/// run. Formats, the engine that runs, the engine that learns and the methods that compress all read this.
public struct ModelDescription: Sendable {
    /// One layer: its block and the parameters that no other layer uses.
    public struct Layer: Sendable {
        /// What it computes.
        public let block: any Block
        /// Its parameters, in order.
        public let parameters: [ParameterID]
    }

    /// All parameters, in the order in which they are used; `ParameterID` is the place among them.
    public private(set) var parameters: [ParameterSpec] = []
    /// The angles that attention turns by; `RotaryID` is the place among them.
    public private(set) var rotaries: [RotaryOptions] = []
    /// What attention keeps of the positions read; `CacheID` is the place among them.
    public private(set) var caches: [CacheShape] = []
    /// The shape of what each recurrence keeps of the positions read; `StateID` is the place among them.
    public private(set) var states: [[Int]] = []
    /// Where there are recurrences, the most floats that a layer makes of a row.
    private(set) var recurrentRowWidth = 0
    /// What stands in front of names in some folders and not in others.
    public var optionalPrefix: String?
    /// From tokens to the residual stream.
    public let input: TokenInput
    /// The layers, first to last.
    public private(set) var layers: [Layer] = []
    /// From the residual stream to logits; nil of an encoder, whose last hidden states are what it makes.
    public let output: TokenOutput?

    /// Describes a model: `layer` adds the parameters of the layer with the index that it is given, and returns its block.
    /// In front of their names stand the number of the layer and, in front of that, `layers` in folders and `blk` in GGUF
    /// files.
    public init(
        layerCount: Int, layers prefix: String, input: (inout Parameters) -> TokenInput,
        layer: (_ index: Int, inout Parameters) -> any Block, output: (TokenInput, inout Parameters) -> TokenOutput?
    ) {
        var list = Parameters()
        self.input = input(&list)
        for index in 0..<layerCount {
            let first = list.specs.count
            (list.prefix, list.ggufPrefix) = ("\(prefix).\(index).", "blk.\(index).")
            let block = layer(index, &list)
            layers.append(Layer(block: block, parameters: (first..<list.specs.count).map { ParameterID($0) }))
        }
        (list.prefix, list.ggufPrefix) = ("", "")
        self.output = output(self.input, &list)
        (parameters, rotaries, caches, states) = (list.specs, list.rotaries, list.caches, list.states)
        // Where embedding and head are tied, some writers keep the one and some the other.
        if self.output?.matrix == self.input.table {
            parameters[self.input.table.index].otherNames.append("lm_head.weight")
        }
        if !states.isEmpty { recurrentRowWidth = layers.indices.map { valueWidth(ofLayer: $0) }.max() ?? 0 }
    }

    /// The specification of a parameter.
    public subscript(_ id: ParameterID) -> ParameterSpec { parameters[id.index] }

    /// The name that a parameter has in a folder, given which names are there; the usual one if none is.
    public func name(of id: ParameterID, isThere: (String) -> Bool) -> String {
        let names = [self[id].name] + self[id].otherNames
        let short = optionalPrefix.map { prefix in
            names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        }
        return (names + (short ?? [])).first(where: isThere) ?? names[0]
    }

    /// The number of weights.
    public var weightCount: Int { parameters.reduce(0) { $0 + $1.count } }

    /// Columns of the residual stream.
    public var streamWidth: Int { input.copies * self[input.table].shape[1] }

    /// The matrices of a layer: what methods compress.
    public func matrices(ofLayer layer: Int) -> [ParameterID] {
        layers[layer].parameters.filter { self[$0].kind == .matrix }
    }

    /// The matrices and tables that belong to no layer: token vectors, and the head if it is not tied.
    public var tables: [ParameterID] {
        var ids = [input.table]
        if let output, output.matrix != input.table { ids.append(output.matrix) }
        return ids
    }
}

extension ModelDescription {
    /// The list of parameters as it is being written. Names of a layer's are given without what stands in
    /// front of them in all layers.
    public struct Parameters {
        fileprivate var specs: [ParameterSpec] = []
        fileprivate var rotaries: [RotaryOptions] = []
        fileprivate var caches: [CacheShape] = []
        fileprivate var states: [[Int]] = []
        fileprivate var prefix = ""
        fileprivate var ggufPrefix = ""

        private mutating func add(
            _ name: String, _ gguf: String?, _ shape: [Int], _ kind: ParameterSpec.Kind,
            _ initial: ParameterSpec.Initial, _ arrangement: ParameterSpec.Arrangement = .plain,
            _ order: RowOrder = .stored, slice: Int? = nil
        ) -> ParameterID {
            var spec = ParameterSpec(
                name: prefix + name, ggufName: gguf.map { ggufPrefix + $0 }, shape: shape, kind: kind,
                initial: initial)
            (spec.arrangement, spec.ggufOrder, spec.ggufSlice) = (arrangement, order, slice)
            specs.append(spec)
            return ParameterID(specs.count - 1)
        }

        /// Adds a matrix, [outputs, inputs]. `entersStream` says that its products are added to the residual stream.
        public mutating func matrix(
            _ name: String, gguf: String?, _ outputs: Int, _ inputs: Int, entersStream: Bool = false,
            arrangement: ParameterSpec.Arrangement = .plain, ggufOrder: RowOrder = .stored, ggufSlice: Int? = nil,
            otherNames: [String] = []
        ) -> ParameterID {
            let id = add(
                name, gguf, [outputs, inputs], .matrix, entersStream ? .normalByDepth : .normal, arrangement,
                ggufOrder, slice: ggufSlice)
            specs[id.index].otherNames = otherNames
            return id
        }

        /// Adds a matrix that decides where rows go, [outputs, inputs].
        public mutating func router(_ name: String, gguf: String?, _ outputs: Int, _ inputs: Int) -> ParameterID {
            add(name, gguf, [outputs, inputs], .router, .normal)
        }

        /// Adds a matrix `name.weight` and, if it has one, its bias `name.bias`.
        public mutating func linear(
            _ name: String, gguf: String?, _ outputs: Int, _ inputs: Int, hasBias: Bool, entersStream: Bool = false,
            arrangement: ParameterSpec.Arrangement = .plain, ggufOrder: RowOrder = .stored
        ) -> Linear {
            let weight = matrix(
                "\(name).weight", gguf: gguf.map { "\($0).weight" }, outputs, inputs, entersStream: entersStream,
                arrangement: arrangement, ggufOrder: ggufOrder)
            return Linear(
                weight,
                bias: hasBias
                    ? bias("\(name).bias", gguf: gguf.map { "\($0).bias" }, outputs, ggufOrder: ggufOrder) : nil)
        }

        /// Adds the weights `name.weight` and biases `name.bias` of a LayerNorm, [count] each.
        public mutating func layerNorm(_ name: String, gguf: String?, _ count: Int, epsilon: Double) -> Norm {
            let weight = normWeight("\(name).weight", gguf: gguf.map { "\($0).weight" }, count)
            let bias = bias("\(name).bias", gguf: gguf.map { "\($0).bias" }, count)
            // As the writers of the first such models called them.
            specs[weight.index].otherNames = ["\(prefix)\(name).gamma"]
            specs[bias.index].otherNames = ["\(prefix)\(name).beta"]
            return .layer(weight, bias: bias, epsilon: epsilon)
        }

        /// Adds the matrix that makes logits, [vocabulary, hidden], unless that is the table of token vectors.
        public mutating func head(
            _ configuration: ModelConfiguration, tiedTo input: TokenInput, name: String = "lm_head.weight",
            gguf: String? = "output.weight", otherNames: [String] = []
        ) -> ParameterID {
            guard !configuration.tiesEmbeddings else { return input.table }
            return matrix(
                name, gguf: gguf, configuration.vocabularySize, configuration.hiddenSize, otherNames: otherNames)
        }

        /// Adds a table, [rows, columns].
        public mutating func table(_ name: String, gguf: String?, _ rows: Int, _ columns: Int) -> ParameterID {
            add(name, gguf, [rows, columns], .table, .normal)
        }

        /// Adds the weights of a norm, [count].
        public mutating func normWeight(
            _ name: String, gguf: String?, _ count: Int, arrangement: ParameterSpec.Arrangement = .plain
        ) -> ParameterID {
            add(name, gguf, [count], .vector, .ones, arrangement)
        }

        /// Adds a bias, [count].
        public mutating func bias(
            _ name: String, gguf: String?, _ count: Int, ggufOrder: RowOrder = .stored
        ) -> ParameterID {
            add(name, gguf, [count], .vector, .zeros, .plain, ggufOrder)
        }

        /// Adds numbers that enter element by element.
        public mutating func elements(
            _ name: String, gguf: String?, _ shape: [Int], initial: ParameterSpec.Initial,
            ggufArrangement: ParameterSpec.GGUFArrangement = .plain
        ) -> ParameterID {
            let id = add(name, gguf, shape, .vector, initial)
            specs[id.index].ggufArrangement = ggufArrangement
            return id
        }

        /// The angles that follow from some options; equal ones are made once.
        public mutating func rotary(_ options: RotaryOptions) -> RotaryID {
            if let index = rotaries.firstIndex(of: options) { return RotaryID(index: index) }
            rotaries.append(options)
            return RotaryID(index: rotaries.count - 1)
        }

        /// Room for what one layer's attention keeps.
        public mutating func cache(_ shape: CacheShape) -> CacheID {
            caches.append(shape)
            return CacheID(index: caches.count - 1)
        }

        /// Room for what one recurrence keeps, zeros at first.
        public mutating func state(_ shape: [Int]) -> StateID {
            states.append(shape)
            return StateID(index: states.count - 1)
        }
    }
}
