import Foundation
import PithCore
import PithFormats
import PithModels

/// How fast a model read and wrote once, and the memory that it took.
public struct SpeedSample: Equatable, Sendable {
    /// Tokens per second when a long prompt is read at once.
    public var prefillTokensPerSecond: Double
    /// Tokens per second when tokens are written one after the other.
    public var decodeTokensPerSecond: Double
    /// The most memory that the process ever held in RAM, mapped weights included.
    public var peakMemoryBytes: ByteCount

    /// Creates a sample from its figures.
    public init(prefillTokensPerSecond: Double, decodeTokensPerSecond: Double, peakMemoryBytes: ByteCount) {
        self.prefillTokensPerSecond = prefillTokensPerSecond
        self.decodeTokensPerSecond = decodeTokensPerSecond
        self.peakMemoryBytes = peakMemoryBytes
    }

    /// The shortest time that is measured: a small model reads and writes more than once.
    private static let leastSeconds = 0.1
    private static let mostRuns = 50

    /// Measures in this process; the memory is that of the whole process.
    ///
    /// `prefill` tokens are read at once, then `decode` tokens one by one, for as often as it takes a tenth of a second;
    /// of several times the median counts. A shorter run comes first, so that weights and buffers are at hand.
    public static func inThisProcess(
        _ model: LanguageModel, prefill: Int = 512, decode: Int = 64
    ) throws(PithError) -> SpeedSample {
        let context = model.configuration.contextLength
        guard context >= 4 else { throw .usage("a context of \(context) tokens is too short to measure speed in") }
        let decode = min(decode, context / 4)
        let prefill = min(prefill, context - decode)
        let workspace = ForwardWorkspace()
        _ = try run(model, prefill: min(prefill, 64), decode: min(decode, 8), workspace)
        var runs: [(prefill: Double, decode: Double)] = []
        repeat {
            runs.append(try run(model, prefill: prefill, decode: decode, workspace))
        } while runs.count < mostRuns && runs.reduce(0) { $0 + min($1.prefill, $1.decode) } < leastSeconds
        return SpeedSample(
            prefillTokensPerSecond: Double(prefill) / Quartiles(runs.map(\.prefill)).median,
            decodeTokensPerSecond: Double(decode) / Quartiles(runs.map(\.decode)).median,
            peakMemoryBytes: peakMemory())
    }

    /// The seconds that it takes to read and to write so many tokens.
    private static func run(
        _ model: LanguageModel, prefill: Int, decode: Int, _ workspace: ForwardWorkspace
    ) throws(PithError) -> (prefill: Double, decode: Double) {
        // Any tokens do: the work does not depend on them.
        let prompt = (0..<prefill).map { ($0 * 31 + 7) % model.configuration.vocabularySize }
        try model.requireMemory(reading: [prefill + decode], logits: 1)
        var state = model.makeState()
        let reading = try seconds { () throws(PithError) in
            _ = try model.nextLogits(prompt, state: &state, workspace: workspace)
        }
        let writing = try seconds { () throws(PithError) in
            for step in 0..<decode {
                _ = try model.nextLogits([prompt[step % prefill]], state: &state, workspace: workspace)
            }
        }
        return (reading, writing)
    }

    /// Measures in a process of its own, so that the memory is the model's alone.
    ///
    /// `executable` is run with `arguments`, and prints a sample as JSON.
    public static func inChildProcess(_ executable: String, _ arguments: [String]) throws(PithError) -> SpeedSample {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.standardOutput = output
        do { try process.run() } catch {
            throw .fault("cannot be run to measure speed: \(error.localizedDescription)", at: executable)
        }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0, let text = String(data: data, encoding: .utf8) else {
            throw .fault(
                "the process that measures speed gave no result (status \(process.terminationStatus))", at: executable)
        }
        return try SpeedSample(json: JSONValue(parsing: text))
    }

    /// The sample for programs.
    public var json: JSONValue {
        [
            "prefillTokensPerSecond": .real(prefillTokensPerSecond),
            "decodeTokensPerSecond": .real(decodeTokensPerSecond),
            "peakMemoryBytes": .integer(peakMemoryBytes.value),
        ]
    }

    /// Reads a sample.
    public init(json: JSONValue) throws(PithError) {
        let root = JSONReader(json)
        prefillTokensPerSecond = try root.member("prefillTokensPerSecond").real()
        decodeTokensPerSecond = try root.member("decodeTokensPerSecond").real()
        peakMemoryBytes = ByteCount(try root.member("peakMemoryBytes").integer())
    }

    private static func seconds(_ body: () throws(PithError) -> Void) throws(PithError) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try body()
        return (clock.now - start).seconds
    }

    /// The largest resident size that this process has had.
    private static func peakMemory() -> ByteCount {
        #if os(Linux)
            // `getrusage` would count what the parent held before this program was loaded.
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
            let kibibytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
            return ByteCount(kibibytes * 1024)
        #else
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return ByteCount(usage.ru_maxrss)
        #endif
    }
}

/// How fast a model is, over some rounds.
public struct SpeedMeasurement: Equatable, Sendable {
    /// Tokens per second when a long prompt is read at once.
    public var prefill: Quartiles
    /// Tokens per second when tokens are written one after the other.
    public var decode: Quartiles
    /// The most memory that a process ever held in RAM, mapped weights included.
    public var peakMemoryBytes: ByteCount

    /// What some samples say together; there must be one.
    public init(_ samples: [SpeedSample]) {
        prefill = Quartiles(samples.map(\.prefillTokensPerSecond))
        decode = Quartiles(samples.map(\.decodeTokensPerSecond))
        peakMemoryBytes = samples.map(\.peakMemoryBytes).max { $0.value < $1.value } ?? ByteCount(0)
    }

    /// Measures some models in turns, so that a busy moment of the machine falls on all of them.
    public static func inTurns<Model>(
        _ models: [Model], rounds: Int, quiet: Bool, _ measure: (Model) throws(PithError) -> SpeedSample
    ) throws(PithError) -> [SpeedMeasurement] {
        var samples = [[SpeedSample]](repeating: [], count: models.count)
        var progress = Progress("timing", total: rounds * models.count, quiet: quiet)
        for round in 0..<rounds {
            for (index, model) in models.enumerated() {
                samples[index].append(try measure(model))
                progress.update(round * models.count + index + 1)
            }
        }
        progress.finish()
        return samples.map(SpeedMeasurement.init)
    }
}

/// The median of some figures, and what the middle half of them lies between.
public struct Quartiles: Equatable, Sendable {
    /// A quarter of the figures is smaller.
    public var lower: Double
    /// Half of them are.
    public var median: Double
    /// A quarter is larger.
    public var upper: Double

    /// The quartiles of some figures, between neighbours in proportion; there must be one.
    public init(_ figures: [Double]) {
        let sorted = figures.sorted()
        func quantile(_ share: Double) -> Double {
            guard let last = sorted.last else { return .nan }
            let place = share * Double(sorted.count - 1)
            let below = Int(place)
            guard below + 1 < sorted.count else { return last }
            return sorted[below] + (place - Double(below)) * (sorted[below + 1] - sorted[below])
        }
        (lower, median, upper) = (quantile(0.25), quantile(0.5), quantile(0.75))
    }

    /// Half the distance of the quartiles.
    public var spread: Double { (upper - lower) / 2 }
}
