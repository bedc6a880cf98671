import ArgumentParser
import Pith

/// Tokens per second of every layout.
struct LayoutsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "layouts",
        abstract: "Tokens per second of all layouts, as shares of what the machine allows and beside other programs.",
        discussion: """
            The bound of writing is the bandwidth over the bytes that a token reads: all matrices, a row of an untied \
            embedding, the mean cache. The bound of reading a prompt is the peak over the multiply-adds with weights.
            """)

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var models: ModelOptions
    @OptionGroup var output: ReportOptions

    @Option(help: "A llama-bench to measure beside, as PATH or NAME=PATH; may be given several times.")
    var peer: [String] = []

    @Option(help: "Tokens of the prompt that is read.")
    var prefill = 512

    @Option(help: "Tokens that are written, from an empty context.")
    var decode = 128

    func validate() throws {
        for (name, count) in [("prefill", prefill), ("decode", decode)] where !(1...1024).contains(count) {
            throw ValidationError("--\(name) should be in 1…1024.")
        }
    }

    /// All that is measured.
    private struct Figures: Codable {
        var machine: MachineFigures
        var prefill: Int
        var decode: Int
        var rows: [Row]
        var ratios: [Ratio]
    }

    func run() throws {
        let peers = try peer.map { (argument) throws(PithError) in try Peer(argument) }
        guard Set(peers.map(\.name)).count == peers.count else {
            throw PithError.usage("two peers have the same name", remedy: "give --peer NAME=PATH")
        }
        let machine = Machine(threads: threads.threads)
        let patience = Patience(minutes: models.patience)
        let pool = ThreadPool(threads: threads.threads)
        let cache = try ModelCache(models.cache, pool: pool)
        let layouts = try Layout.named(models.layout)
        var report = Report(output)
        var figures = Figures(
            machine: MachineFigures.measure(on: machine, &report), prefill: prefill, decode: decode, rows: [],
            ratios: [])
        for shape in try Shape.named(models.shape) {
            var rows: [Row] = []
            for group in groups(layouts) {
                let contestants = try contestants(group, peers, shape, cache, pool)
                rows += try takeTurns(contestants, shape: shape, rounds: models.rounds, on: machine, patience: patience)
            }
            report.add(shape, rows, prefill: prefill, decode: decode)
            figures.rows += rows
            figures.ratios += ratios(rows, layouts)
        }
        if !figures.ratios.isEmpty { report.add(figures.ratios) }
        try report.write(figures)
    }

    /// Neighbouring layouts that have the same peers: these are measured in turns and are open together.
    private func groups(_ layouts: [Layout]) -> [[Layout]] {
        layouts.reduce(into: []) { groups, layout in
            if groups.last?.first?.peers == layout.peers {
                groups[groups.count - 1].append(layout)
            } else {
                groups.append([layout])
            }
        }
    }

    private func contestants(
        _ group: [Layout], _ peers: [Peer], _ shape: Shape, _ cache: ModelCache, _ pool: ThreadPool
    ) throws(PithError) -> [Contestant] {
        var contestants: [Contestant] = []
        for layout in group {
            let model = try cache.model(shape, layout).loadModel(pool: pool)
            contestants.append(try Contestant(model, layout, shape, prefill: prefill, decode: decode))
        }
        let types = group.first?.peers.filter { $0.fits(shape.configuration) } ?? []
        for peer in peers {
            for type in types {
                contestants.append(
                    Contestant(
                        peer, try cache.gguf(shape, type), type, shape, prefill: prefill, decode: decode,
                        threads: threads.threads))
            }
        }
        return contestants
    }

    /// Pith's rows against the others of the same group.
    private func ratios(_ rows: [Row], _ layouts: [Layout]) -> [Ratio] {
        layouts.flatMap { layout in
            let types = layout.peers.map(\.name)
            let own = rows.filter { $0.program == "pith" && $0.layout == layout.name }
            let others = rows.filter { $0.program != "pith" && types.contains($0.layout) }
            return own.flatMap { row in others.map { Ratio(row, against: $0) } }
        }
    }
}

extension Report {
    fileprivate mutating func add(_ shape: Shape, _ rows: [Row], prefill: Int, decode: Int) {
        let c = shape.configuration
        let weights = (Double(c.parameters.reduce(0) { $0 + $1.count }) / 1e6).formatted(significant: 3)
        add(
            "\(shape.name): \(weights) million weights, \(c.layerCount) layers of width \(c.hiddenSize)",
            .init(
                header: [
                    "program", "layout", "bits/weight", "prefill", "of bound", "decode", "of bound", "GB/s", "G/s", "",
                ],
                names: 2,
                rows: rows.map { row in
                    [
                        row.program, row.layout, row.bitsPerWeight.figure, row.speeds.prefill.figure,
                        row.shares.prefill.percent, row.speeds.decode.figure, row.shares.decode.percent,
                        row.median(\.limits.bytesPerSecond).billions,
                        row.median(\.limits.multiplyAddsPerSecond).billions, row.arithmetic.rawValue,
                    ]
                }),
            note: """
                Tokens per second: a prompt of \(prefill) read at once, \(decode) tokens written from an empty \
                context. GB/s and G/s are the bandwidth and the multiply-adds, in the arithmetic behind them, that \
                the machine had around the samples. The other program's files hold all matrices in the type named. \
                \(disturbance(rows))
                """)
    }

    /// What other programs took meanwhile.
    private func disturbance(_ rows: [Row]) -> String {
        let shares = rows.flatMap(\.samples).compactMap(\.otherPrograms)
        guard !shares.isEmpty else { return "What other programs did meanwhile is not known here." }
        let middle = median(shares)
        let warning = middle > 0.02 ? " Such figures say little: measure on a machine that does nothing else." : ""
        return "Meanwhile other programs took \(middle.percent) of the machine (median).\(warning)"
    }

    fileprivate mutating func add(_ ratios: [Ratio]) {
        add(
            "Ratios",
            .init(
                header: ["shape", "pith", "against", "prefill", "decode"], names: 3,
                rows: ratios.map { [$0.shape, $0.layout, $0.against, $0.ratio.prefill.times, $0.ratio.decode.times] }),
            note: "Above 1 Pith is faster. Medians of the ratios of single rounds.")
    }
}
