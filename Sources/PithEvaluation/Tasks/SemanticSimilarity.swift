import PithCore
import PithModels
import PithTensor

/// The test set of the STS Benchmark (Cer et al. 2017): how well the cosine similarities of sentences follow those that
/// people see.
public struct SemanticSimilarity: EvaluationTask {
    /// As the benchmark is called for short.
    public static let name = "stsb"
    /// What is measured.
    public static let abstract =
        "Spearman's rank correlation of cosine similarities with people's scores on the STS Benchmark (sts-test.csv)"

    /// Two sentences, and how alike people find them, 0…5.
    package struct Pair: Equatable, Sendable {
        package var first: String
        package var second: String
        package var score: Double

        package init(first: String, second: String, score: Double) {
            (self.first, self.second, self.score) = (first, second, score)
        }
    }

    private let pairs: [Pair]

    private static let fileName = "sts-test.csv"
    private static let resamples = 1000
    private static let seed: UInt64 = 0

    /// Reads `sts-test.csv` in `folder`.
    public init(folder: String) throws(PithError) {
        let path = joinPath(folder, Self.fileName)
        do { pairs = try Self.pairs(in: try Files.text(path)) } catch { throw error.within(path) }
    }

    /// Lines of genre, source, year, number, score and two sentences, with tabs between them; more may follow. Quotes mean
    /// nothing.
    package static func pairs(in text: String) throws(PithError) -> [Pair] {
        var pairs: [Pair] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard !line.isEmpty else { continue }
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            let place = "line \(index + 1)"
            guard fields.count >= 7 else {
                throw .data("has \(fields.count) fields", at: place, remedy: "seven are needed")
            }
            guard let score = Double(fields[4]), (0...5).contains(score) else {
                throw .data("'\(String(fields[4]).shortened)' is no score in 0…5", at: place)
            }
            pairs.append(Pair(first: String(fields[5]), second: String(fields[6]), score: score))
        }
        guard pairs.count > 2 else { throw .data("has \(pairs.count) pairs, too few") }
        return pairs
    }

    /// The cosine of the angle between two rows; 0 where one has no length.
    private static func cosine(_ vectors: Tensor, _ first: Int, _ second: Int) -> Double {
        let (a, b) = (vectors.rows(first..<first + 1), vectors.rows(second..<second + 1))
        let product = zip(a.values, b.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let lengths = (a.squaredNorm * b.squaredNorm).squareRoot()
        return lengths > 0 ? product / lengths : 0
    }

    /// The correlation, with a standard error from draws of the pairs.
    public func measure(
        _ model: LanguageModel, from source: ModelSource, quiet: Bool
    ) throws(PithError) -> TaskReport {
        let encoder = try TextEncoder(source, model)
        let vectors = try encoder.encode(pairs.flatMap { [$0.first, $0.second] }, quiet: quiet)
        let similarities = pairs.indices.map { Self.cosine(vectors.values, 2 * $0, 2 * $0 + 1) }
        let rho = RankCorrelation.spearman(
            similarities, pairs.map(\.score), resamples: Self.resamples, seed: Self.seed)
        guard rho.value.isFinite else { throw .data("all pairs are equally alike: there is no correlation") }
        var report = TaskReport(
            figures: [.init(key: "spearman", name: "Spearman's ρ", estimate: rho)], items: (pairs.count, "pairs"))
        report.notes.append("The error is from \(Self.resamples) draws of the pairs, seed \(Self.seed).")
        if encoder.modules.isAssumed {
            report.notes.append("The folder has no \(SentenceModules.fileName): vectors are the mean of hidden states.")
        }
        if vectors.truncatedCount > 0 {
            report.notes.append(
                "\(vectors.truncatedCount) sentences are longer than \(encoder.maximumLength) tokens and were cut.")
        }
        return report
    }
}
