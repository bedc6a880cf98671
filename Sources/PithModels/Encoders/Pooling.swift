/// How the hidden states of a text's tokens become one vector: the modes of sentence-transformers (Reimers and Gurevych
/// 2019).
public enum Pooling: String, CaseIterable, Sendable {
    /// That of the first token, which stands before every text.
    case first = "cls"
    /// The largest of each element.
    case max
    /// Their mean.
    case mean
    /// Their sum divided by the root of their number.
    case sumByRoot = "mean_sqrt_len_tokens"
    /// Their mean, each counted as often as its place says.
    case weightedMean = "weightedmean"
    /// That of the last token.
    case last = "lasttoken"

    /// The flags of older files.
    static let flagNames: [String: Pooling] = [
        "pooling_mode_cls_token": .first, "pooling_mode_mean_tokens": .mean, "pooling_mode_max_tokens": .max,
        "pooling_mode_mean_sqrt_len_tokens": .sumByRoot, "pooling_mode_weightedmean_tokens": .weightedMean,
        "pooling_mode_lasttoken": .last,
    ]

    /// The number in GGUF files; nil where they have none. Source: llama.cpp, llama_pooling_type.
    var ggufNumber: Int? {
        switch self {
        case .mean: 1
        case .first: 2
        case .last: 3
        case .max, .sumByRoot, .weightedMean: nil
        }
    }

    /// One vector, [width], of hidden states, [rows, width], but the first `skipped`; one row at least must be left.
    func pool(_ states: UnsafePointer<Float>, rows: Int, width: Int, skipping skipped: Int = 0) -> [Float] {
        let read = skipped..<rows
        func row(_ index: Int) -> [Float] { Array(UnsafeBufferPointer(start: states + index * width, count: width)) }
        switch self {
        case .first: return row(skipped)
        case .last: return row(rows - 1)
        case .max:
            var largest = row(skipped)
            for index in read {
                for i in 0..<width { largest[i] = Swift.max(largest[i], states[index * width + i]) }
            }
            return largest
        case .mean: return Self.sum(states, read, width, divisor: Double(read.count)) { _ in 1 }
        case .sumByRoot: return Self.sum(states, read, width, divisor: Double(read.count).squareRoot()) { _ in 1 }
        case .weightedMean:
            let divisor = read.reduce(0.0) { $0 + Double($1 + 1) }
            return Self.sum(states, read, width, divisor: divisor) { Double($0 + 1) }
        }
    }

    /// Added up row by row in double precision.
    private static func sum(
        _ states: UnsafePointer<Float>, _ rows: Range<Int>, _ width: Int, divisor: Double,
        weight: (_ row: Int) -> Double
    ) -> [Float] {
        var sums = [Double](repeating: 0, count: width)
        for index in rows {
            let weight = weight(index)
            for i in 0..<width { sums[i] += weight * Double(states[index * width + i]) }
        }
        return sums.map { Float($0 / divisor) }
    }
}
