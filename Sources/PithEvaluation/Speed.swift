import Foundation
import PithCore
import PithModels

/// How fast a model reads and writes, and the memory that it takes.
public struct SpeedMeasurement: Equatable, Sendable, Codable {
    /// Tokens per second when a long prompt is read at once.
    public var prefillTokensPerSecond: Double
    /// Tokens per second when tokens are written one after the other.
    public var decodeTokensPerSecond: Double
    /// The most memory that the process ever held in RAM, mapped weights included.
    public var peakMemoryBytes: ByteCount

    /// Creates a measurement from its figures.
    public init(prefillTokensPerSecond: Double, decodeTokensPerSecond: Double, peakMemoryBytes: ByteCount) {
        self.prefillTokensPerSecond = prefillTokensPerSecond
        self.decodeTokensPerSecond = decodeTokensPerSecond
        self.peakMemoryBytes = peakMemoryBytes
    }

    /// Measures in this process; the memory is that of the whole process.
    ///
    /// `prefill` tokens are read at once, then `decode` tokens one by one; medians of `repetitions`.
    public static func inThisProcess(
        _ model: LanguageModel, prefill: Int = 512, decode: Int = 64, repetitions: Int = 5
    ) throws(PithError) -> SpeedMeasurement {
        let context = model.configuration.contextLength
        guard context >= 4 else { throw .usage("a context of \(context) tokens is too short to measure speed in") }
        let decode = min(decode, context / 4)
        let prefill = min(prefill, context - decode)
        // Any tokens do: the work does not depend on them.
        let prompt = (0..<prefill).map { ($0 * 31 + 7) % model.configuration.vocabularySize }
        let workspace = ForwardWorkspace()
        var (prefillSeconds, decodeSeconds): ([Double], [Double]) = ([], [])
        for _ in 0..<max(1, repetitions) {
            var state = model.makeState()
            prefillSeconds.append(
                try seconds { () throws(PithError) in
                    _ = try model.nextLogits(prompt, state: &state, workspace: workspace)
                })
            decodeSeconds.append(
                try seconds { () throws(PithError) in
                    for step in 0..<decode {
                        _ = try model.nextLogits([prompt[step % prefill]], state: &state, workspace: workspace)
                    }
                })
        }
        return SpeedMeasurement(
            prefillTokensPerSecond: Double(prefill) / median(prefillSeconds),
            decodeTokensPerSecond: Double(decode) / median(decodeSeconds), peakMemoryBytes: peakMemory())
    }

    /// Measures in a process of its own, so that the memory is the model's alone.
    ///
    /// `executable` is run with `arguments`, and prints a measurement as JSON.
    public static func inChildProcess(
        _ executable: String, _ arguments: [String]
    ) throws(PithError) -> SpeedMeasurement {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.standardOutput = output
        do {
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return try JSONDecoder().decode(SpeedMeasurement.self, from: data)
        } catch {
            throw .fault(
                "the process that measures speed gave no result (status \(process.isRunning ? 0 : process.terminationStatus))",
                at: executable)
        }
    }

    private static func seconds(_ body: () throws(PithError) -> Void) throws(PithError) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try body()
        return (clock.now - start).seconds
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

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
