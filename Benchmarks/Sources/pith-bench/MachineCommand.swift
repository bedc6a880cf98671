import ArgumentParser
import Pith

/// What the machine can do.
struct MachineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine", abstract: "Measure the bytes and multiply-adds per second of this machine.")

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var output: ReportOptions

    func run() throws {
        var report = Report(output)
        try report.write(MachineFigures.measure(on: Machine(threads: threads.threads), &report))
    }
}

/// What the machine can do: the best of some samples, and their median.
struct MachineFigures: Codable {
    var processor: String
    var threads: Int
    var figures: [Figure]

    struct Figure: Codable {
        var name: String
        var tile: String
        var best: Double
        var median: Double
    }

    private static let sampleCount = 7

    /// Measures and prints.
    static func measure(on machine: Machine, _ report: inout Report) -> MachineFigures {
        var probes: [(name: String, tile: String, sample: () -> Double)] = []
        for size in [4 << 20, 32 << 20, Machine.memorySize] {
            probes.append(("reading \(size >> 20) MiB over and over", "GB/s", { machine.bandwidth(workingSet: size) }))
        }
        for arithmetic in Arithmetic.allCases {
            guard let instructions = arithmetic.instructions else { continue }
            probes.append(
                ("multiply-adds in \(arithmetic.rawValue) by \(instructions)", "G/s", { machine.peak(arithmetic) }))
        }
        var samples = probes.map { _ in [Double]() }
        for _ in 0..<sampleCount { for (i, probe) in probes.enumerated() { samples[i].append(probe.sample()) } }
        let figures = zip(probes, samples).map { probe, samples in
            Figure(name: probe.name, tile: probe.tile, best: samples.max() ?? .nan, median: pith_bench.median(samples))
        }
        report.add(
            "The machine: \(Machine.processor), \(machine.threads) threads",
            .init(
                header: ["", "best", "median", ""], names: 1,
                rows: figures.map { [$0.name, $0.best.billions, $0.median.billions, $0.tile] }))
        return MachineFigures(processor: Machine.processor, threads: machine.threads, figures: figures)
    }
}
