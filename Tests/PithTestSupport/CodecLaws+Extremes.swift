import PithCore
import PithModels
import PithTensor
import PithWeights

extension CodecLaws {
    /// Weights and inputs at the ends of what floats hold: what comes out is right, or a `PithError`.
    ///
    /// A trap is a violation as well, and ends the tests.
    public mutating func checkExtremes() {
        for spec in [entry.identifier] + entry.options.flatMap(furthestSpecs) {
            guard let pipeline = pipeline(spec) else { continue }
            for sample in ExtremeSample.all { checkExtreme(sample, pipeline, limit: 1.01) }
        }
        for spec in compositions {
            guard let pipeline = pipeline(spec) else { continue }
            // The method before may know less of the inputs than the measure does.
            for sample in ExtremeSample.worst { checkExtreme(sample, pipeline, limit: 2) }
        }
    }

    /// The defaults but for one option, at the ends of its range or any of its words.
    private func furthestSpecs(_ option: OptionSchema) -> [String] {
        var values = Self.values(of: option)
        if case .integer = option.domain { values = [values.first, values.last].compactMap { $0 } }
        if case .real = option.domain { values = [values.first, values.last].compactMap { $0 } }
        return values.filter { $0 != option.defaultValue }.map { "\(entry.identifier):\(option.name)=\($0)" }
    }

    private mutating func checkExtreme(_ sample: ExtremeSample, _ pipeline: WeightPipeline, limit: Double) {
        let spec = "\(pipeline.spec) on \(sample.name)"
        let compressed: any StoredLinear
        do {
            compressed = try pipeline.compress(
                name: "w", weight: sample.weight, statistics: sample.statistics, seed: 3, pool: pool)
        } catch {
            expect(!sample.isOrdinary, spec, "refused: \(error)")
            return
        }
        let isNumber = sample.weight.isFinite && (pipeline.needs == .nothing || sample.inputs.isFinite)
        expect(isNumber, spec, "accepted what is no number")
        let error = sample.error(compressed, knowing: pipeline.needs)
        expect(error.isFinite && error <= limit, spec, "error \(error), dropping the matrix has 1")
    }
}

/// A small matrix and inputs, one of them out of the ordinary.
private struct ExtremeSample {
    var name: String
    var weight: Tensor
    var inputs: Tensor
    /// Whether every method must take it.
    var isOrdinary = false

    private static let (rows, columns, samples) = (17, 40, 60)

    /// All samples. Nothing is random but the first.
    static let all: [ExtremeSample] = {
        let plain = LayerProblem(outputs: rows, inputs: columns, samples: samples, seed: 8)
        let values: [(name: String, value: Float)] = [
            ("1e38", 1e38), ("−3e38", -3e38), ("the largest float", .greatestFiniteMagnitude), ("1e19", 1e19),
            ("a denormal", Float(bitPattern: 71_362)), ("the least float", .leastNonzeroMagnitude), ("1e-30", 1e-30),
            ("−0", -0.0),
            ("NaN", .nan), ("infinity", .infinity),
        ]
        func all(_ value: Float, like tensor: Tensor) -> Tensor {
            Tensor(shape: tensor.shape, values: [Float](repeating: value, count: tensor.count))
        }
        func one(_ value: Float, in tensor: Tensor) -> Tensor {
            var tensor = tensor
            tensor[3, 5] = value
            return tensor
        }
        func signs(_ value: Float, like tensor: Tensor) -> Tensor {
            Tensor(shape: tensor.shape, values: (0..<tensor.count).map { $0 % 3 == 0 ? -value : value })
        }
        var list = [
            ExtremeSample(name: "ordinary weights", weight: plain.weight, inputs: plain.inputs, isOrdinary: true)
        ]
        let makers: [(String, (Float, Tensor) -> Tensor)] = [
            ("all", { all($0, like: $1) }), ("one", { one($0, in: $1) }),
            ("all of both signs", { signs($0, like: $1) }),
        ]
        for (name, value) in values {
            for (what, make) in makers {
                list.append(
                    ExtremeSample(name: "\(what) \(name)", weight: make(value, plain.weight), inputs: plain.inputs))
                list.append(
                    ExtremeSample(
                        name: "inputs \(what) \(name)", weight: plain.weight, inputs: make(value, plain.inputs)))
            }
        }
        for value: Float in [0, 0.25] {
            list.append(
                ExtremeSample(
                    name: "all \(value)", weight: all(value, like: plain.weight), inputs: plain.inputs, isOrdinary: true
                ))
            list.append(
                ExtremeSample(
                    name: "inputs all \(value)", weight: plain.weight, inputs: all(value, like: plain.inputs),
                    isOrdinary: true))
        }
        return list
    }()

    /// The ones that go furthest, for what has been tried with all by itself.
    static let worst = all.filter { sample in
        [
            "ordinary weights", "all of both signs −3e38", "one 1e38", "all a denormal", "inputs one 1e38",
            "inputs all NaN",
        ]
        .contains(sample.name)
    }

    var statistics: InputStatistics {
        var statistics = InputStatistics(width: inputs.columns, gathering: .hessian)
        statistics.add(inputs, pool: ThreadPool(threads: 1))
        return statistics
    }

    /// The squared error as a share of dropping W, by the measure of what the codec knew, all in double precision; 0
    /// where there is nothing to lose.
    func error(_ compressed: any StoredLinear, knowing needs: CalibrationNeeds) -> Double {
        var tiles = Tensor(rows: weight.columns, columns: weight.columns)
        for i in 0..<weight.columns { tiles[i, i] = 1 }
        let decoded = tiles.multiplied(by: compressed)
        var (lost, all) = (0.0, 0.0)
        for row in 0..<weight.rows {
            let exact = (0..<weight.columns).map { Double(weight[row, $0]) }
            let missing = (0..<weight.columns).map { exact[$0] - Double(decoded[$0, row]) }
            lost += energy(missing, needs)
            all += energy(exact, needs)
        }
        // Below half precision, which most layouts have scales in, nothing can be kept.
        return all == 0 ? (lost == 0 ? 0 : .infinity) : lost / all
    }

    /// The square of a row of weights, of its products with all inputs, or of those with each input alone.
    private func energy(_ row: [Double], _ needs: CalibrationNeeds) -> Double {
        guard needs != .nothing, inputs.values.contains(where: { $0 != 0 }) else {
            return row.reduce(0) { $0 + $1 * $1 }
        }
        var sum = 0.0
        for sample in 0..<inputs.rows {
            var product = 0.0
            for (column, weight) in row.enumerated() {
                let term = weight * Double(inputs[sample, column])
                if needs == .hessian { product += term } else { sum += term * term }
            }
            sum += product * product
        }
        return sum
    }
}

extension Tensor {
    fileprivate var isFinite: Bool { values.allSatisfy(\.isFinite) }
}
