import PithCore
import PithFormats
import PithModels
import PithTensor

/// What a model lost against another, and how well it predicts a text.
public struct Measurement: Equatable, Sendable {
    /// Mean Kullback-Leibler divergence of the next-token distribution from the uncompressed model's, in nats.
    public var klDivergence: Estimate
    /// How often both models find the same token the most likely one.
    public var top1Agreement: Estimate
    /// Bits per byte of text.
    public var bitsPerByte: Estimate
    /// Perplexity for each token.
    public var perplexity: Estimate

    /// Creates a measurement from its figures.
    public init(klDivergence: Estimate, top1Agreement: Estimate, bitsPerByte: Estimate, perplexity: Estimate) {
        self.klDivergence = klDivergence
        self.top1Agreement = top1Agreement
        self.bitsPerByte = bitsPerByte
        self.perplexity = perplexity
    }
}

/// Measures models on a text in lock-step: all read the same window, then their distributions are compared token by
/// token, so that no logits are kept. Figures depend neither on the batch size nor on the number of threads.
public struct Evaluator: Sendable {
    /// Windows that are read together.
    public var batchSize: Int
    /// Rows of logits that are held at a time for each model.
    private static let rowChunk = BlockSums.blockLength

    /// Creates a evaluator.
    public init(batchSize: Int = 4) { self.batchSize = max(1, batchSize) }

    /// Measures `candidates` against `reference`; the first result is the reference's own, with no divergence.
    public func measure(
        _ reference: LanguageModel, against candidates: [LanguageModel], on text: EvaluationText,
        quiet: Bool = true
    ) throws(PithError) -> [Measurement] {
        var totals = [Totals](repeating: Totals(), count: candidates.count + 1)
        var progress = Progress("measuring", total: text.windows.count, quiet: quiet)
        for start in stride(from: 0, to: text.windows.count, by: batchSize) {
            let batch = Array(text.windows[start..<min(start + batchSize, text.windows.count)])
            try measure(batch, first: start, [reference] + candidates, &totals)
            progress.update(start + batch.count)
        }
        progress.finish()
        var measurements: [Measurement] = []
        for total in totals { measurements.append(try total.measurement()) }
        return measurements
    }

    private func measure(
        _ windows: [EvaluationText.Window], first: Int, _ models: [LanguageModel], _ totals: inout [Totals]
    ) throws(PithError) {
        let names = EvaluationText.names(of: windows, first: first)
        var hidden: [Tensor] = []
        for (index, model) in models.enumerated() {
            var states = windows.map { _ in model.makeState() }
            do throws(PithError) {
                try model.requireMemory(reading: windows.map(\.tokens.count), logits: 2 * Self.rowChunk)
                hidden.append(try model.hiddenStates(windows.map(\.tokens), states: &states) { names[$0] })
            } catch { throw error.within(Self.name(index, of: models.count)) }
        }
        var firstRow = 0
        for window in windows {
            // The row of a token predicts the one behind it.
            let predicted = window.firstPredicted..<window.tokens.count
            for chunk in stride(from: predicted.lowerBound, to: predicted.upperBound, by: Self.rowChunk) {
                let tokens = chunk..<min(chunk + Self.rowChunk, predicted.upperBound)
                try compare(window, tokens, firstRow: firstRow, models, hidden, names, &totals)
            }
            firstRow += window.tokens.count
        }
    }

    private func compare(
        _ window: EvaluationText.Window, _ tokens: Range<Int>, firstRow: Int, _ models: [LanguageModel],
        _ hidden: [Tensor], _ names: [String], _ totals: inout [Totals]
    ) throws(PithError) {
        let rows = firstRow + tokens.lowerBound - 1..<firstRow + tokens.upperBound - 1
        let targets = Array(window.tokens[tokens])
        let bytes = window.byteCounts[tokens].reduce(0, +)
        var reference: Tensor?
        for (index, model) in models.enumerated() {
            do throws(PithError) {
                let logits = try model.logits(of: hidden[index], rows: rows) { names[$0] }
                let losses = TokenLoss.compare(reference ?? logits, logits, targets, model.pool)
                if let row = losses.firstIndex(where: { !$0.isFinite }) {
                    throw .data(
                        "the logits are too far apart to be measured", at: names[rows.lowerBound + row],
                        remedy: "are these the weights that belong to this configuration?")
                }
                totals[index].append(losses, byteCount: bytes)
                if index == 0 { reference = logits }
            } catch { throw error.within(Self.name(index, of: models.count)) }
        }
    }

    /// What errors call a model.
    private static func name(_ index: Int, of count: Int) -> String {
        count == 1 ? "the model" : index == 0 ? "the reference" : count == 2 ? "the model" : "model \(index)"
    }

    /// The sums of one model over all windows.
    private struct Totals {
        var divergence = BlockSums()
        var agreement = BlockSums()
        var surprise = BlockSums()
        var bits = BlockSums()

        mutating func append(_ losses: [TokenLoss], byteCount: Int) {
            let count = Double(losses.count)
            let nats = losses.reduce(0) { $0 + $1.surprise }
            divergence.append(losses.reduce(0) { $0 + $1.divergence }, over: count)
            agreement.append(losses.reduce(0) { $0 + ($1.agrees ? 1 : 0) }, over: count)
            surprise.append(nats, over: count)
            bits.append(nats / naturalLogarithm(2), over: Double(byteCount))
        }

        func measurement() throws(PithError) -> Measurement {
            let loss = surprise.ratio
            let perplexity = exponential(loss.value)
            guard perplexity.isFinite else {
                throw .data(
                    "the perplexity is beyond all numbers: the model needs \(loss.value.formatted(significant: 4)) nats "
                        + "for a token",
                    remedy: "are these the weights that belong to this configuration?")
            }
            guard bits.ratio.value.isFinite else {
                throw .data("the tokens that are predicted stand for no bytes", remedy: "give more text")
            }
            return Measurement(
                klDivergence: divergence.ratio, top1Agreement: agreement.ratio, bitsPerByte: bits.ratio,
                perplexity: Estimate(perplexity, standardError: perplexity * loss.standardError))
        }
    }
}
