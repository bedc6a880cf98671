import Foundation
import PithCore

/// The program, run as a person runs it.
struct Program {
    /// How a run ended.
    struct Ending {
        /// The exit status, or the number of the signal that ended it.
        var status: Int32
        var isSignal: Bool
        var output: String
        var errors: String
    }

    /// The `pith` that was built beside the tests.
    private static let executable = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("pith")

    /// Runs in `folder`, with some variables besides those of the tests; after it has begun, `meanwhile` is called with its process.
    @discardableResult
    static func run(
        _ arguments: [String], in folder: String, environment: [String: String] = [:],
        meanwhile: (Process) throws -> Void = { _ in }
    ) throws -> Ending {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let (output, errors) = (joinPath(folder, ".output"), joinPath(folder, ".errors"))
        for path in [output, errors] { try AtomicFile.write("", to: path) }
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        try meanwhile(process)
        process.waitUntilExit()
        defer { for path in [output, errors] { try? FileManager.default.removeItem(atPath: path) } }
        return Ending(
            status: process.terminationStatus, isSignal: process.terminationReason == .uncaughtSignal,
            output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }

    /// Runs a line of a shell, in which `pith` is the program.
    static func shell(_ line: String, in folder: String) throws -> Ending {
        try withFile(line, in: folder) { script in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = [script]
            process.currentDirectoryURL = URL(fileURLWithPath: folder)
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return Ending(
                status: process.terminationStatus, isSignal: process.terminationReason == .uncaughtSignal,
                output: String(decoding: bytes, as: UTF8.self), errors: "")
        }
    }

    private static func withFile(_ line: String, in folder: String, _ body: (String) throws -> Ending) throws -> Ending
    {
        let script = joinPath(NSTemporaryDirectory(), "pith-shell-\(UUID().uuidString)")
        try AtomicFile.write("pith() { '\(executable.path)' \"$@\"; }\n\(line)\n", to: script)
        defer { try? FileManager.default.removeItem(atPath: script) }
        return try body(script)
    }
}
