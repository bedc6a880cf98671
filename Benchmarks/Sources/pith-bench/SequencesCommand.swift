import ArgumentParser
import Pith

/// Tokens per second of several sequences that are written together.
struct SequencesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sequences",
        abstract: "Tokens per second when several sequences are written together: weights are read once for all.")

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var models: ModelOptions
    @OptionGroup var output: ReportOptions

    @Option(help: "Sequences that are written together; may be given several times.")
    var together: [Int] = [1, 4, 16]

    @Option(help: "Tokens that are written of each, from an empty context.")
    var decode = 32

    func validate() throws {
        if !(1...1024).contains(decode) { throw ValidationError("--decode should be in 1…1024.") }
        if let wrong = together.first(where: { !(1...1024).contains($0) }) {
            throw ValidationError("--together \(wrong) should be in 1…1024.")
        }
    }

    /// The figures of a layout.
    private struct Figures: Codable {
        var shape: String
        var layout: String
        /// Of each number of sequences, medians of tokens per second of all together.
        var tokensPerSecond: [Int: Double]
        /// Medians of the shares of the bound: the bandwidth or the multiply-adds, whichever is less.
        var shareOfBound: [Int: Double]
    }

    func run() throws {
        let machine = Machine(threads: threads.threads)
        let patience = Patience(minutes: models.patience)
        let pool = ThreadPool(threads: threads.threads)
        let cache = try ModelCache(models.cache, pool: pool)
        let layouts = try Layout.named(models.layout.isEmpty ? ["bf16", "int8", "int4"] : models.layout)
        var report = Report(output)
        var figures: [Figures] = []
        for shape in try Shape.named(models.shape) {
            for layout in layouts {
                let model = try cache.model(shape, layout).loadModel(pool: pool)
                figures.append(try measure(model, layout, shape, machine, patience))
            }
        }
        report.add(
            "Sequences written together",
            .init(
                header: ["shape", "layout"] + together.flatMap { ["\($0)", "of bound"] }, names: 2,
                rows: figures.map { row in
                    [row.shape, row.layout]
                        + together.flatMap {
                            [row.tokensPerSecond[$0]?.figure ?? "", row.shareOfBound[$0]?.percent ?? ""]
                        }
                }),
            note: """
                Tokens per second of all sequences together, \(decode) tokens of each. The bound is what the \
                bandwidth allows when weights are read once for all, or what the multiply-adds allow, if that is less.
                """)
        try report.write(figures)
    }

    private func measure(
        _ model: LanguageModel, _ layout: Layout, _ shape: Shape, _ machine: Machine, _ patience: Patience
    ) throws(PithError) -> Figures {
        var (speeds, shares): ([Int: [Double]], [Int: [Double]]) = ([:], [:])
        let cacheBytes = try model.write(decode, sequences: 1)[0].storedBits / 8
        // Each token needs logits here: the work of a prompt of one.
        let work = Work(model, layout, prefill: 1, decode: decode, cacheBytes: cacheBytes)
        for _ in 0..<models.rounds {
            for count in together {
                let (time, limits) = try patience.whileQuiet { () throws(PithError) in
                    let before = machine.limits(of: work)
                    let time = try seconds { () throws(PithError) in
                        for _ in 0..<shape.repeats { _ = try model.write(decode, sequences: count) }
                    }
                    return (time, Limits.between(before, machine.limits(of: work)))
                }.value
                let speed = Double(shape.repeats * count * decode) / time
                let bytes = work.decodeBytes + Double((count - 1) * cacheBytes) / 2
                let bound = min(
                    limits.bytesPerSecond / bytes * Double(count),
                    limits.multiplyAddsPerSecond / work.prefillMultiplyAdds)
                speeds[count, default: []].append(speed)
                shares[count, default: []].append(speed / bound)
            }
        }
        return Figures(
            shape: shape.name, layout: layout.name, tokensPerSecond: speeds.mapValues(median),
            shareOfBound: shares.mapValues(median))
    }
}

extension LanguageModel {
    /// Writes so many tokens of each of some sequences, from empty contexts; the states after them.
    fileprivate func write(_ count: Int, sequences: Int) throws(PithError) -> [SequenceState] {
        var states = (0..<sequences).map { _ in makeState() }
        for token in anyTokens(count) {
            let tokens = (0..<sequences).map { [(token + $0) % configuration.vocabularySize] }
            let hidden = try hiddenStates(tokens, states: &states)
            _ = try logits(of: hidden, rows: 0..<sequences)
        }
        return states
    }
}
