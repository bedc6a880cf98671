import PithTensor

/// Which experts a row of scores goes to, and with which weights.
package struct Route {
    /// The experts, the likeliest first; of equal ones that of the smaller index.
    package let experts: [Int]
    /// The weight of each.
    package let weights: [Float]
    /// The softmax of all scores.
    package let probabilities: [Float]

    /// The route of a row of scores, [experts].
    package init(_ scores: UnsafeBufferPointer<Float>, _ options: RoutingOptions) {
        let largest = scores.max() ?? 0
        let powers = scores.map { exponential(Double($0 - largest)) }
        let total = powers.reduce(0, +)
        let probabilities = powers.map { Float($0 / total) }
        let order = probabilities.indices.sorted {
            probabilities[$0] == probabilities[$1] ? $0 < $1 : probabilities[$0] > probabilities[$1]
        }
        let experts = Array(order.prefix(options.activeCount))
        let sum = options.isNormalized ? experts.reduce(0) { $0 + probabilities[$1] } : 1
        (self.probabilities, self.experts) = (probabilities, experts)
        weights = experts.map { probabilities[$0] / sum }
    }
}

extension RunningEngine {
    mutating func mixture(
        _ x: Value, scores: Value, _ options: RoutingOptions, addedTo stream: Value?,
        expert: (_ index: Int, _ x: Value, _ engine: inout RunningEngine) -> Value
    ) -> Value {
        let sum = makeValue(rows: x.rows, x.width)
        sum.pointer.update(repeating: 0, count: x.rows * x.width)
        let routes = (0..<x.rows).map { row in
            Route(UnsafeBufferPointer(start: scores.pointer + row * scores.width, count: scores.width), options)
        }
        // In the order of the experts, so that a row's sum does not depend on others.
        for index in 0..<options.expertCount {
            let chosen = routes.indices.compactMap { row in
                routes[row].experts.firstIndex(of: index).map { (row: row, weight: routes[row].weights[$0]) }
            }
            guard !chosen.isEmpty else { continue }
            let gathered = makeValue(rows: chosen.count, x.width)
            for (place, (row, _)) in chosen.enumerated() {
                (gathered.pointer + place * x.width).update(from: x.pointer + row * x.width, count: x.width)
            }
            let y = expert(index, gathered, &self)
            for (place, (row, weight)) in chosen.enumerated() {
                kernels.add_scaled(y.pointer + place * y.width, weight, Int64(y.width), sum.pointer + row * y.width)
            }
        }
        return stream.map { add(sum, to: $0) } ?? sum
    }
}
