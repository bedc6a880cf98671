import CPithKernels
import PithCore
import PithTensor

/// The engine that runs: rows of several sequences go through the matrices together, however these are stored; a row's
/// result depends neither on its company nor on the number of threads.
struct RunningEngine: Engine {
    /// A matrix in the workspace, [rows, width].
    struct Value {
        let pointer: UnsafeMutablePointer<Float>
        let width: Int
    }

    let model: LanguageModel
    let workspace: ForwardWorkspace
    private let observer: (any ActivationObserver)?
    let kernels: pith_kernels
    private let tokens: [Int]
    var states: [SequenceState]
    /// The layer that is running.
    private var layer = 0

    var pool: ThreadPool { model.pool }
    var rows: Int { workspace.rows }

    /// Rows that one thread takes at a time where each row is little work.
    static let rowsTogether = 16
    /// Values that one thread looks at sooner than it would be called.
    private static let valuesTogether = 1 << 15
    /// Elements that one thread takes at a time of a function of each.
    static let elementsTogether = 8192

    /// An engine for rows that the workspace was prepared for; `tokens` are theirs, if they are to be looked up.
    init(
        _ model: LanguageModel, _ workspace: ForwardWorkspace, tokens: [Int] = [], states: [SequenceState],
        observer: (any ActivationObserver)?
    ) {
        (self.model, self.workspace, self.tokens, self.states) = (model, workspace, tokens, states)
        self.observer = observer
        kernels = PithTensor.kernels
    }

    /// Runs one layer over the residual stream, [rows, hidden], in place.
    mutating func run(_ block: any Block, layer: Int, _ stream: UnsafeMutablePointer<Float>, width: Int) {
        self.layer = layer
        workspace.releaseValues()
        let x = Value(pointer: stream, width: width)
        observe(.residual, x)
        let y = block.run(x, &self)
        if y.pointer != stream { stream.update(from: y.pointer, count: rows * width) }
    }

    /// What the token input makes of the tokens, [rows, hidden], into `stream`.
    mutating func run(_ input: TokenInput, into stream: UnsafeMutablePointer<Float>) {
        workspace.releaseValues()
        let x = input.run(&self)
        stream.update(from: x.pointer, count: rows * x.width)
    }

    /// What the last norm makes of the residual stream, [rows, hidden], into `target`.
    mutating func run(
        _ output: TokenOutput, layer: Int, _ stream: UnsafeMutablePointer<Float>, width: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        self.layer = layer
        workspace.releaseValues()
        let x = output.normalize(Value(pointer: stream, width: width), &self)
        target.update(from: x.pointer, count: rows * x.width)
    }

    func observe(_ site: ActivationSite, _ x: Value) {
        observer?.observe(site, layer: layer, x.pointer, rows: rows, width: x.width)
    }

    func makeValue(_ width: Int) -> Value {
        Value(pointer: workspace.takeValue(rows * width), width: width)
    }

    /// Calls `body` for blocks of rows, on all threads where there is work for them.
    func forEachRows(grain: Int = Self.rowsTogether, _ body: (Range<Int>) -> Void) {
        pool.forEachBlock(of: rows, grain: grain, body)
    }

    /// Looks for values that are no finite numbers.
    func look(at x: Value) {
        forEachRows(grain: max(1, Self.valuesTogether / max(1, x.width))) { block in
            workspace.see(x.pointer + block.lowerBound * x.width, count: block.count * x.width)
        }
    }

    // MARK: Operations

    mutating func embed(_ table: ParameterID) -> Value {
        let rows = model.table(table)
        let result = makeValue(rows.inputCount)
        for (row, token) in tokens.enumerated() { rows.decodeRow(token, into: result.pointer + row * result.width) }
        return result
    }

    mutating func linear(_ x: Value, _ maps: [Linear]) -> [Value] {
        look(at: x)
        if observer != nil { observe(.input(of: maps.map(\.weight)), x) }
        workspace.input.load(x.pointer, rows: rows, width: x.width)
        var products: [LinearProduct] = []
        var results: [Value] = []
        for map in maps {
            let matrix = model[matrix: map.weight]
            let result = makeValue(matrix.outputCount)
            products.append(LinearProduct(matrix, into: result.pointer))
            results.append(result)
        }
        workspace.input.multiply(by: products, pool: pool)
        for (map, result) in zip(maps, results) {
            if let bias = map.bias { add(bias, to: result) }
        }
        return results
    }

    mutating func linear(_ x: Value, _ map: Linear, addedTo stream: Value) -> Value {
        add(linear(x, map), to: stream)
    }

    private func add(_ bias: ParameterID, to x: Value) {
        let (kernels, values) = (kernels, model[vector: bias])
        forEachRows { block in
            for row in block { kernels.add_scaled(values, 1, Int64(x.width), x.pointer + row * x.width) }
        }
    }

    mutating func normalize(_ x: Value, _ norm: Norm, groups: Int) -> Value {
        let (kernels, weight) = (kernels, model[vector: norm.weight])
        let (result, width) = (makeValue(x.width), x.width / groups)
        forEachRows { block in
            for part in block.lowerBound * groups..<block.upperBound * groups {
                kernels.rms_norm(
                    x.pointer + part * width, weight, norm.epsilon, Int64(width), result.pointer + part * width)
            }
        }
        observe(.normalized(by: norm.weight), result)
        return result
    }

    mutating func add(_ x: Value, to stream: Value) -> Value {
        let (kernels, width) = (kernels, x.width)
        forEachRows { block in
            let start = block.lowerBound * width
            kernels.add_scaled(x.pointer + start, 1, Int64(block.count * width), stream.pointer + start)
        }
        return stream
    }

    mutating func scale(_ x: Value, by factor: Float) -> Value {
        for i in 0..<rows * x.width { x.pointer[i] *= factor }
        return x
    }

    mutating func rotate(_ x: Value, _ rotary: RotaryID) -> Value {
        let (kernels, half) = (kernels, model.rotaries[rotary.index].half)
        let (cosines, sines) = workspace.angles(rotary)
        forEachRows { block in
            for row in block {
                kernels.rotate(
                    x.pointer + row * x.width, Int64(x.width / (2 * half)), Int64(half), cosines + row * half,
                    sines + row * half)
            }
        }
        return x
    }

    mutating func attend(queries: Value, keys: Value, values: Value, _ options: AttentionOptions) -> Value {
        // A cache of 16 bits and the softmax would hide what is not finite.
        for x in [queries, keys, values] { look(at: x) }
        observe(.queries, queries)
        observe(.keys, keys)
        observe(.values, values)
        let result = makeValue(options.queryWidth)
        let (counts, pool, cache) = (workspace.counts, pool, options.cache.index)
        let starts = counts.reduce(into: [0]) { $0.append($0.last! + $1) }
        states.withUnsafeMutableBufferPointer { states in
            func attend(_ s: Int) {
                let (row, count) = (starts[s], counts[s])
                states[s].stores[cache].append(
                    keys: keys.pointer + row * keys.width, values: values.pointer + row * values.width, rows: count)
                states[s].stores[cache].attend(
                    queries.pointer + row * queries.width, rows: count, options,
                    into: result.pointer + row * result.width, pool: pool)
            }
            // A sequence with much to do gets all threads; those with little go side by side, a thread each.
            let work = states.indices.map { counts[$0] * (states[$0].stores[cache].count + counts[$0]) }
            let share = work.reduce(0, +) / (2 * pool.threadCount)
            for s in states.indices where work[s] > share { attend(s) }
            let small = states.indices.filter { work[$0] <= share }
            pool.forEachBlock(of: small.count, grain: 1) { block in
                for i in block { attend(small[i]) }
            }
        }
        return result
    }

    mutating func activate(gate: Value, times x: Value, _ activation: Activation) -> Value {
        let width = gate.width
        let kernel: @convention(c) (
            UnsafePointer<Float>?, UnsafePointer<Float>?, Int64, UnsafeMutablePointer<Float>?
        ) -> Void
        switch activation {
        case .silu: kernel = kernels.swiglu
        case .geluTanh: kernel = kernels.geglu
        default: return multiply(activate(gate, activation), by: x)
        }
        forEachRows(grain: max(1, Self.elementsTogether / max(1, width))) { block in
            let start = block.lowerBound * width
            kernel(gate.pointer + start, x.pointer + start, Int64(block.count * width), gate.pointer + start)
        }
        return gate
    }
}
