import PithCore
import PithModels
import PithTensor

/// How far the predictions of two models lie from each other: ½ KL(p, m) + ½ KL(q, m) with m = ½ (p + q), in bits.
///
/// It is symmetric, 0 where both predict the same and 1 where no token is possible for both.
package struct JensenShannon {
    private let models: [LanguageModel]

    init(_ first: LanguageModel, _ second: LanguageModel) { models = [first, second] }

    /// The sum over tokens, in blocks.
    func divergence(on text: EvaluationText) throws(PithError) -> BlockSums {
        var sums = BlockSums()
        for (index, window) in text.windows.enumerated() {
            let names = EvaluationText.names(of: [window], first: index)
            var hidden: [Tensor] = []
            for model in models {
                try model.requireMemory(reading: [window.tokens.count], logits: 2 * BlockSums.blockLength)
                var states = [model.makeState()]
                hidden.append(try model.hiddenStates([window.tokens], states: &states) { names[$0] })
            }
            let predicted = window.firstPredicted..<window.tokens.count
            for start in stride(from: predicted.lowerBound, to: predicted.upperBound, by: BlockSums.blockLength) {
                let rows = start - 1..<min(start + BlockSums.blockLength, predicted.upperBound) - 1
                let p = try models[0].logits(of: hidden[0], rows: rows) { names[$0] }
                let q = try models[1].logits(of: hidden[1], rows: rows) { names[$0] }
                let bits = (0..<rows.count).map { row in
                    let range = row * p.columns..<(row + 1) * p.columns
                    return Self.divergence(p.values[range], q.values[range])
                }
                sums.append(bits.reduce(0, +), over: Double(rows.count))
            }
        }
        return sums
    }

    /// The divergence of the softmax of two rows of logits.
    package static func divergence(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
        let (p, q) = (softmax(a), softmax(b))
        let nats = zip(p, q).reduce(0.0) { sum, pair in
            let middle = (pair.0 + pair.1) / 2
            func term(_ x: Double) -> Double { x > 0 ? x * naturalLogarithm(x / middle) : 0 }
            return sum + (term(pair.0) + term(pair.1)) / 2
        }
        return max(0, nats / naturalLogarithm(2))
    }

    private static func softmax(_ logits: ArraySlice<Float>) -> [Double] {
        let peak = logits.max() ?? 0
        let weights = logits.map { exponential(Double($0 - peak)) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}
