import Foundation
import PithCore
import PithPredictors

/// Makes bytes smaller; only how many are left matters.
public protocol Compressor: Sendable {
    /// What it is, for caches and tables.
    var name: String { get }
    /// The size of `input` when it is compressed.
    func compressedSize(_ input: [UInt8]) throws(PithError) -> ByteCount
}

/// A method of the data plane.
public struct MethodCompressor: Compressor {
    /// The spec.
    public let name: String
    private let method: any DataMethod
    private let context: CodingContext

    /// The method of a spec.
    public init(_ spec: Spec, context: CodingContext) throws(PithError) {
        name = spec.description
        method = try DataCatalogue.method(for: spec)
        self.context = context
    }

    /// The size of what the method makes of `input`, without an archive around it.
    public func compressedSize(_ input: [UInt8]) throws(PithError) -> ByteCount {
        ByteCount(try method.encode(input, context).count)
    }
}

/// A program that reads its standard input and writes it smaller, for example `gzip -9n`.
public struct CommandCompressor: Compressor {
    /// The command and its arguments.
    public let name: String

    /// A command, its words separated by spaces.
    public init(_ command: String) throws(PithError) {
        guard command.contains(where: { $0 != " " }) else {
            throw .usage("the command is empty", remedy: "for example 'command:gzip -9n'")
        }
        name = command
    }

    /// The bytes that the command writes when it reads `input`.
    public func compressedSize(_ input: [UInt8]) throws(PithError) -> ByteCount {
        // Input comes from a file, so that the command may write before it has read everything.
        try Files.withWorkFolder { (folder) throws(PithError) in
            let path = joinPath(folder, "input")
            try AtomicFile.write(input, to: path)
            return try compressedSize(ofFileAt: path)
        }
    }

    private func compressedSize(ofFileAt path: String) throws(PithError) -> ByteCount {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = name.split(separator: " ").map(String.init)
        process.standardInput = FileHandle(forReadingAtPath: path)
        process.standardOutput = output
        do { try process.run() } catch { throw .fault("cannot be run: \(error.localizedDescription)", at: name) }
        let written = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw .usage("ended with status \(process.terminationStatus)", at: "command '\(name)'")
        }
        return ByteCount(written.count)
    }
}

/// Code lengths by a compressor C: K(x) = C(x) and K(x | y) = C(yx) − C(y), of which the information distance makes
/// the normalised compression distance.
public struct CompressorCodeLength: CodeLength {
    private let compressor: any Compressor

    /// Lengths by `compressor`.
    public init(_ compressor: any Compressor) { self.compressor = compressor }

    /// The compressor's name.
    public var identity: String { "compressor \(compressor.name)" }

    /// K(x) of each text.
    public func lengths(of texts: [String]) throws(PithError) -> [Double] {
        var result: [Double] = []
        for text in texts { result.append(try bits(text)) }
        return result
    }

    /// K(x | known) of each text.
    public func lengths(of texts: [String], given known: String) throws(PithError) -> [Double] {
        let alone = try bits(known)
        var result: [Double] = []
        for text in texts { result.append(max(0, try bits(known + "\n" + text) - alone)) }
        return result
    }

    private func bits(_ text: String) throws(PithError) -> Double {
        8 * Double(try compressor.compressedSize(Array(text.utf8)).value)
    }
}
