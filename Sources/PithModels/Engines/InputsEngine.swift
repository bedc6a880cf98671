/// The engine that computes nothing: it notes which matrices of a block read the same rows. A value is a width.
private struct InputsEngine: Engine {
    let description: ModelDescription
    private(set) var inputs: [[ParameterID]] = []

    init(_ description: ModelDescription) { self.description = description }

    func embed(_ table: ParameterID, _ selector: RowSelector) -> Int { description[table].shape[1] }

    mutating func linear(_ x: Int, _ maps: [Linear]) -> [Int] {
        inputs.append(maps.map(\.weight))
        return maps.map { description[$0.weight].shape[0] }
    }

    mutating func linear(_ x: Int, _ map: Linear, addedTo stream: Int) -> Int { linear(x, map) }

    func split(_ x: Int, widths: [Int], groups: Int) -> [Int] { widths.map { $0 * groups } }
    func normalize(_ x: Int, _ norm: Norm, groups: Int) -> Int { x }
    func add(_ x: Int, to stream: Int) -> Int { stream }
    func scale(_ x: Int, by factor: Float) -> Int { x }
    func scale(_ x: Int, byRow factors: Int) -> Int { x }
    func rotate(_ x: Int, _ rotary: RotaryID) -> Int { x }
    func attend(queries: Int, keys: Int, values: Int, _ options: AttentionOptions) -> Int { options.queryWidth }
    func activate(_ x: Int, _ activation: Activation, times factors: Int?) -> Int { x }

    mutating func mixture(
        _ x: Int, scores: Int, _ options: RoutingOptions, addedTo stream: Int?,
        expert: (_ index: Int, _ x: Int, _ engine: inout InputsEngine) -> Int
    ) -> Int {
        for index in 0..<options.expertCount { _ = expert(index, x, &self) }
        return x
    }

    func multiply(_ x: Int, by y: Int) -> Int { x }
    func interpolate(_ x: Int, toward y: Int, by share: Int) -> Int { x }
    func rows(of vector: ParameterID) -> Int { description[vector].count }
    func join(_ parts: [Int]) -> Int { parts.reduce(0, +) }
    func unit(_ x: Int, groups: Int) -> Int { x }
    func sums(_ x: Int, groups: Int) -> Int { x }
    func previous(_ x: Int, _ state: StateID) -> Int { x }
    func convolve(_ x: Int, _ weights: ParameterID, bias: ParameterID?, _ state: StateID) -> Int { x }
    func scan(_ inputs: ScanInputs<Int>, _ state: StateID) -> Int { inputs.x }
    func recur(_ inputs: RecurrenceInputs<Int>, heads: Int, _ state: StateID) -> Int { inputs.values }
    func average(keys: Int, values: Int, decays: ParameterID, bonuses: ParameterID, _ state: StateID) -> Int { values }
}

extension ModelDescription {
    /// The matrices of a layer by what they read: those that read the same rows stand together, in the order in which
    /// they run.
    public func inputs(ofLayer layer: Int) -> [[ParameterID]] {
        var engine = InputsEngine(self)
        _ = layers[layer].block.run(streamWidth, &engine)
        return engine.inputs
    }
}
