import CPithKernels
import PithCore
import PithTensor

/// The engine that runs: rows of several sequences go through the matrices together, however these are stored; a row's
/// result depends neither on its company nor on the number of threads.
struct RunningEngine: Engine {
    /// A matrix in the workspace, [rows, width]. Loops share it: a block of theirs touches rows of its own.
    struct Value: @unchecked Sendable {
        let pointer: UnsafeMutablePointer<Float>
        let rows: Int
        let width: Int
    }

    let model: LanguageModel
    let workspace: ForwardWorkspace
    let observer: (any ActivationObserver)?
    let kernels: pith_kernels
    private let tokens: [Int]
    var states: [SequenceState]
    /// The layer that is running.
    private(set) var layer = 0

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
        let x = Value(pointer: stream, rows: rows, width: width)
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
        let x = output.normalize(Value(pointer: stream, rows: rows, width: width), &self)
        target.update(from: x.pointer, count: rows * x.width)
    }

    func observe(_ site: ActivationSite, _ x: Value) {
        observer?.observe(site, layer: layer, x.pointer, rows: x.rows, width: x.width)
    }

    /// Room for a value.
    func makeValue(rows: Int, _ width: Int) -> Value {
        Value(pointer: workspace.takeValue(rows * width), rows: rows, width: width)
    }

    /// Calls `body` for blocks of the rows of x, on all threads where there is work for them.
    func forEachRows<each Shared>(
        of x: Value, grain: Int = Self.rowsTogether, sharing shared: repeat each Shared,
        body: @Sendable (Range<Int>, repeat each Shared) -> Void
    ) {
        pool.forEachBlock(of: x.rows, grain: grain, sharing: repeat each shared, body: body)
    }

    /// Looks for values that are no finite numbers.
    func look(at x: Value) {
        let grain = max(1, Self.valuesTogether / max(1, x.width))
        forEachRows(of: x, grain: grain, sharing: workspace) { block, workspace in
            workspace.see(x.pointer + block.lowerBound * x.width, count: block.count * x.width)
        }
    }

    // MARK: Operations

    mutating func embed(_ table: ParameterID, _ selector: RowSelector) -> Value {
        let entries = model.table(table)
        let result = makeValue(rows: rows, entries.inputCount)
        for row in 0..<rows {
            let entry =
                switch selector {
                case .token: tokens[row]
                case .position(let offset): workspace.positions[row] + offset
                case .row(let entry): entry
                }
            entries.decodeRow(entry, into: result.pointer + row * result.width)
        }
        return result
    }

    mutating func linear(_ x: Value, _ maps: [Linear]) -> [Value] {
        look(at: x)
        if observer != nil { observe(.input(of: maps.map(\.weight)), x) }
        workspace.input.load(x.pointer, rows: x.rows, width: x.width)
        var products: [LinearProduct] = []
        var results: [Value] = []
        for map in maps {
            let matrix = model[matrix: map.weight]
            let result = makeValue(rows: x.rows, matrix.outputCount)
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
        forEachRows(of: x) { block in
            for row in block { kernels.add_scaled(values, 1, Int64(x.width), x.pointer + row * x.width) }
        }
    }

    mutating func split(_ x: Value, widths: [Int], groups: Int) -> [Value] {
        let results = widths.map { makeValue(rows: x.rows, $0 * groups) }
        forEachRows(of: x) { block in
            for row in block {
                var source = x.pointer + row * x.width
                for group in 0..<groups {
                    for (result, width) in zip(results, widths) {
                        (result.pointer + row * result.width + group * width).update(from: source, count: width)
                        source += width
                    }
                }
            }
        }
        return results
    }

    mutating func normalize(_ x: Value, _ norm: Norm, groups: Int) -> Value {
        let (kernels, weights, bias) = (kernels, model[vector: norm.weight], norm.bias.map { model[vector: $0] })
        let (result, width) = (makeValue(rows: x.rows, x.width), x.width / groups)
        weights.withUnsafeBufferPointer { weights in
            forEachRows(of: x, sharing: weights) { block, weights in
                for part in block.lowerBound * groups..<block.upperBound * groups {
                    let (start, ofPart) = (part * width, part % groups * width % weights.count)
                    guard let weight = weights.baseAddress.map({ $0 + ofPart }) else { return }
                    guard let bias else {
                        kernels.rms_norm(
                            x.pointer + start, weight, norm.epsilon, Int64(width), result.pointer + start)
                        continue
                    }
                    bias.withUnsafeBufferPointer { bias in
                        kernels.layer_norm(
                            x.pointer + start, weight, bias.baseAddress.map { $0 + ofPart }, norm.epsilon,
                            Int64(width), result.pointer + start)
                    }
                }
            }
        }
        observe(.normalized(by: norm.weight), result)
        return result
    }

    mutating func add(_ x: Value, to stream: Value) -> Value {
        let (kernels, width) = (kernels, x.width)
        forEachRows(of: x) { block in
            let start = block.lowerBound * width
            kernels.add_scaled(x.pointer + start, 1, Int64(block.count * width), stream.pointer + start)
        }
        return stream
    }

    mutating func scale(_ x: Value, by factor: Float) -> Value {
        for i in 0..<x.rows * x.width { x.pointer[i] *= factor }
        return x
    }

    mutating func scale(_ x: Value, byRow factors: Value) -> Value {
        forEachRows(of: x) { block in
            for row in block {
                for i in 0..<x.width { x.pointer[row * x.width + i] *= factors.pointer[row] }
            }
        }
        return x
    }

    mutating func activate(_ x: Value, _ activation: Activation, times factors: Value?) -> Value {
        if activation.hidesNonFinite { lookAtOperand(x) }
        let (kernels, width) = (kernels, x.width)
        forEachRows(of: x, grain: max(1, Self.elementsTogether / max(1, width))) { block in
            let (start, count) = (block.lowerBound * width, block.count * width)
            kernels.activate(
                activation.kernel, x.pointer + start, factors.map { $0.pointer + start }, Int64(count),
                x.pointer + start)
        }
        return x
    }
}

extension Activation {
    /// As the kernels call it.
    package var kernel: pith_activation {
        switch self {
        case .silu: PITH_SILU
        case .gelu: PITH_GELU
        case .geluTanh: PITH_GELU_TANH
        case .relu: PITH_RELU
        case .sigmoid: PITH_SIGMOID
        case .tanh: PITH_TANH
        case .softplus: PITH_SOFTPLUS
        case .squaredReLU: PITH_SQUARED_RELU
        case .decay: PITH_DECAY
        case .boundedDecay: PITH_BOUNDED_DECAY
        }
    }
}
