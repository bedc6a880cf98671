import Foundation
import Pith

/// Another program that runs models: any `llama-bench`.
struct Peer: Sendable {
    /// The name in tables.
    let name: String
    private let path: String

    /// A program from `NAME=PATH` or `PATH`.
    init(_ argument: String) throws(PithError) {
        let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
        let path = parts.last ?? ""
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw .usage("is no program", at: path, remedy: "give --peer the path of llama-bench, or NAME=PATH")
        }
        name = parts.count > 1 ? parts[0] : "llama.cpp"
        self.path = path
    }

    /// Lets the program read a prompt and write tokens with a model file, each `repeats` times; its own averages.
    func measure(_ file: String, _ work: Work, threads: Int, repeats: Int) throws(PithError) -> Speeds {
        let arguments = [
            "-m", file, "-p", "\(work.prefill)", "-n", "\(work.decode)", "-t", "\(threads)", "-r", "\(repeats)",
            "-ngl", "0", "-o", "json",
        ]
        let output = try run(arguments)
        let call = ([path] + arguments).joined(separator: " ")
        do throws(PithError) { return try Self.speeds(output, work) } catch { throw error.within("'\(call)'") }
    }

    private func run(_ arguments: [String]) throws(PithError) -> Data {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        do {
            try process.run()
            let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return output
        } catch { throw .fault("cannot be run: \(error.localizedDescription)", at: path) }
    }

    /// One measurement of the program's report.
    private struct Entry: Decodable {
        var prompt: Int
        var written: Int
        var tokensPerSecond: Double

        private enum CodingKeys: String, CodingKey {
            case prompt = "n_prompt"
            case written = "n_gen"
            case tokensPerSecond = "avg_ts"
        }
    }

    private static func speeds(_ output: Data, _ work: Work) throws(PithError) -> Speeds {
        // Some versions write other lines before the list.
        let start = output.firstIndex(of: UInt8(ascii: "[")) ?? output.startIndex
        let entries = try? JSONDecoder().decode([Entry].self, from: output[start...])
        let prefill = entries?.first { $0.prompt == work.prefill && $0.written == 0 }
        let decode = entries?.first { $0.prompt == 0 && $0.written == work.decode }
        guard let prefill, let decode else {
            throw .fault("gave no figures", remedy: "run it by hand to see what is wrong")
        }
        return Speeds(prefill: prefill.tokensPerSecond, decode: decode.tokensPerSecond)
    }
}
