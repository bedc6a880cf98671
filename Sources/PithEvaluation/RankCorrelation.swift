import PithTensor

/// How alike two orders of the same things are: Spearman's rank correlation.
public enum RankCorrelation {
    /// Ranks from 1 on; equal values share the mean of their ranks.
    package static func ranks(of values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
            start = end
        }
        return ranks
    }

    /// Pearson's correlation of two lists of one length; nan where either is constant.
    package static func pearson(_ left: [Double], _ right: [Double]) -> Double {
        let count = Double(left.count)
        let (leftMean, rightMean) = (left.reduce(0, +) / count, right.reduce(0, +) / count)
        var (product, leftSquares, rightSquares) = (0.0, 0.0, 0.0)
        for (a, b) in zip(left, right) {
            product += (a - leftMean) * (b - rightMean)
            leftSquares += (a - leftMean) * (a - leftMean)
            rightSquares += (b - rightMean) * (b - rightMean)
        }
        return product / (leftSquares * rightSquares).squareRoot()
    }

    /// Spearman's ρ of two lists of one length: Pearson's correlation of their ranks.
    public static func spearman(_ left: [Double], _ right: [Double]) -> Double {
        pearson(ranks(of: left), ranks(of: right))
    }

    /// Spearman's ρ with a standard error: the deviation of ρ over `resamples` draws of as many pairs, with replacement
    /// (Efron 1979). Draws follow from `seed`.
    public static func spearman(_ left: [Double], _ right: [Double], resamples: Int, seed: UInt64) -> Estimate {
        var random = SeededGenerator(seed: seed)
        var (sum, squares, count) = (0.0, 0.0, 0.0)
        for _ in 0..<resamples {
            let places = left.indices.map { _ in random.index(below: left.count) }
            let rho = spearman(places.map { left[$0] }, places.map { right[$0] })
            // A draw of one pair alone has no correlation.
            guard rho.isFinite else { continue }
            (sum, squares, count) = (sum + rho, squares + rho * rho, count + 1)
        }
        let variance = (squares - sum * sum / count) / (count - 1)
        return Estimate(spearman(left, right), standardError: variance < 0 ? 0 : variance.squareRoot())
    }
}
