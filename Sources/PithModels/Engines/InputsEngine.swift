/// The engine that computes nothing: it notes which matrices of a block read the same rows, and how wide the values
/// are that it makes. A value is a width.
private struct InputsEngine: Engine {
    let description: ModelDescription
    private(set) var inputs: [[ParameterID]] = []
    /// The widths of all values together, those that attention and mixtures make inside left out.
    private(set) var madeWidth = 0

    init(_ description: ModelDescription) { self.description = description }

    func embed(_ table: ParameterID, _ selector: RowSelector) -> Int { description[table].shape[1] }

    mutating func linear(_ x: Int, _ maps: [Linear]) -> [Int] {
        inputs.append(maps.map(\.weight))
        return maps.map { made(description[$0.weight].shape[0]) }
    }

    private mutating func made(_ width: Int) -> Int {
        madeWidth += width
        return width
    }

    mutating func linear(_ x: Int, _ map: Linear, addedTo stream: Int) -> Int { linear(x, map) }

    mutating func split(_ x: Int, widths: [Int], groups: Int) -> [Int] { widths.map { made($0 * groups) } }
    mutating func normalize(_ x: Int, _ norm: Norm, groups: Int) -> Int { made(x) }
    func add(_ x: Int, to stream: Int) -> Int { stream }
    func scale(_ x: Int, by factor: Float) -> Int { x }
    func scale(_ x: Int, byRow factors: Int) -> Int { x }
    func attend(queries: Int, keys: Int, values: Int, _ options: AttentionOptions) -> Int { options.outputWidth }
    func activate(_ x: Int, _ activation: Activation, times factors: Int?) -> Int { x }

    mutating func mixture(
        _ x: Int, scores: Int, _ options: RoutingOptions, addedTo stream: Int?,
        expert: (_ index: Int, _ x: Int, _ engine: inout InputsEngine) -> Int
    ) -> Int {
        for index in 0..<options.expertCount { _ = expert(index, x, &self) }
        return x
    }

    mutating func multiply(_ x: Int, by y: Int) -> Int { made(x) }
    mutating func interpolate(_ x: Int, toward y: Int, by share: Int) -> Int { made(x) }
    mutating func rows(of vector: ParameterID) -> Int { made(description[vector].count) }
    mutating func join(_ parts: [Int]) -> Int { made(parts.reduce(0, +)) }
    mutating func unit(_ x: Int, groups: Int) -> Int { made(x) }
    mutating func sums(_ x: Int, groups: Int) -> Int { made(x) }
    mutating func previous(_ x: Int, _ state: StateID) -> Int { made(x) }
    mutating func convolve(_ x: Int, _ weights: ParameterID, bias: ParameterID?, _ state: StateID) -> Int { made(x) }
    mutating func scan(_ inputs: ScanInputs<Int>, _ state: StateID) -> Int { made(inputs.x) }
    mutating func recur(_ inputs: RecurrenceInputs<Int>, heads: Int, _ state: StateID) -> Int { made(inputs.values) }
    mutating func average(
        keys: Int, values: Int, decays: ParameterID, bonuses: ParameterID, _ state: StateID
    ) -> Int { made(values) }
}

extension ModelDescription {
    /// The matrices of a layer by what they read: those that read the same rows stand together, in the order in which
    /// they run.
    public func inputs(ofLayer layer: Int) -> [[ParameterID]] {
        var engine = InputsEngine(self)
        _ = layers[layer].block.run(streamWidth, &engine)
        return engine.inputs
    }

    /// The widths of all values that a layer without attention makes of a row.
    package func valueWidth(ofLayer layer: Int) -> Int {
        var engine = InputsEngine(self)
        _ = layers[layer].block.run(streamWidth, &engine)
        return engine.madeWidth
    }
}
