import PithModels
import PithTensor

extension Tape {
    /// The weights of the experts that rows are sent to: `scores` and result [rows, experts], 0 where a row is not sent.
    /// Which experts these are is not learned through.
    func routingWeights(_ scores: Variable, _ options: RoutingOptions) -> (weights: Variable, routes: [Route]) {
        let (rows, count) = (scores.rows, scores.columns)
        let y = makeVariable(rows: rows, columns: count)
        y.values.update(repeating: 0, count: y.count)
        let routes = (0..<rows).map { row in
            Route(UnsafeBufferPointer(start: scores.values + row * count, count: count), options)
        }
        for (row, route) in routes.enumerated() {
            for (expert, weight) in zip(route.experts, route.weights) { y.values[row * count + expert] = weight }
        }
        record(y) { [unowned self] dy in
            let target = zeroedGradient(scores)
            for (row, route) in routes.enumerated() {
                // Among the chosen ones if they add up to 1, else among all: a softmax either way.
                let chosen = Set(route.experts)
                let among = options.isNormalized ? route.experts : Array(0..<count)
                let sum = among.reduce(Float(0)) { $0 + route.probabilities[$1] }
                let p = among.map { route.probabilities[$0] / sum }
                let g = among.map { chosen.contains($0) ? dy[row * count + $0] : 0 }
                let mean = zip(p, g).reduce(Float(0)) { $0 + $1.0 * $1.1 }
                for (place, expert) in among.enumerated() {
                    target[row * count + expert] += p[place] * (g[place] - mean)
                }
            }
        }
        return (y, routes)
    }

    /// [rows, columns]: row r is the sum of those rows of the parts that belong to it, each times its weight in
    /// `weights`, [rows, parts].
    func weightedSum(_ parts: [(rows: [Int], values: Variable, expert: Int)], weights: Variable, columns: Int)
        -> Variable
    {
        let y = makeVariable(rows: weights.rows, columns: columns)
        y.values.update(repeating: 0, count: y.count)
        func weight(_ row: Int, _ expert: Int) -> Int { row * weights.columns + expert }
        for (rows, values, expert) in parts {
            for (place, row) in rows.enumerated() {
                kernels.add_scaled(
                    values.values + place * columns, weights.values[weight(row, expert)], Int64(columns),
                    y.values + row * columns)
            }
        }
        record(y) { [unowned self] dy in
            let ofWeights = zeroedGradient(weights)
            for (rows, values, expert) in parts {
                let target = zeroedGradient(values)
                for (place, row) in rows.enumerated() {
                    let (part, factor) = (place * columns, weight(row, expert))
                    ofWeights[factor] += training.dot(values.values + part, dy + row * columns, Int64(columns))
                    kernels.add_scaled(dy + row * columns, weights.values[factor], Int64(columns), target + part)
                }
            }
        }
        return y
    }
}

extension TapeEngine {
    mutating func mixture(
        _ x: Variable, scores: Variable, _ options: RoutingOptions, addedTo stream: Variable?,
        expert: (_ index: Int, _ x: Variable, _ engine: inout TapeEngine) -> Variable
    ) -> Variable {
        let (weights, routes) = tape.routingWeights(scores, options)
        var parts: [(rows: [Int], values: Variable, expert: Int)] = []
        for index in 0..<options.expertCount {
            let rows = routes.indices.filter { routes[$0].experts.contains(index) }
            guard !rows.isEmpty else { continue }
            parts.append((rows, expert(index, tape.gather(x, rows), &self), index))
        }
        let sum = tape.weightedSum(parts, weights: weights, columns: x.columns)
        return stream.map { tape.add($0, sum) } ?? sum
    }
}
