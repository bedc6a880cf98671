import ArgumentParser
import Pith

/// Scores programs as codes of sequences.
struct KolmogorovCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kolmogorov", abstract: "Compare programs that make sequences with compressors.",
        discussion: """
            Random programs of a small language make sequences of bytes; the table shows what the programs take as \
            code, what a search finds for the sequences alone, and what compressors make of them. Files are cut into \
            sequences of --length bytes. Operations are bytes, range, repeat, join, add, xor, mod, multiply, plus, \
            cross, interleave, reverse, sums and crosses, for example 'repeat(4, join(bytes(1, 2), range(0, 3, 10)))'.
            """)

    @Argument(help: "Files to take sequences from, beside those of random programs.")
    var files: [String] = []

    @Option(help: "How many sequences of each kind.")
    var count = 100

    @Option(help: "Bytes of a sequence; those of random programs have from 32 bytes to twice as many.")
    var length = 256

    @Option(help: "The seed of random programs.")
    var seed: UInt64 = 1

    @Option(
        name: .customLong("method"),
        help: "A compressor to compare with: a method of 'pith zip', or 'command:gzip -9n'; may be given several times."
    )
    var methods: [String] = []

    @Option(help: "Run this program instead and print the bytes that it makes, and its bits.")
    var program: String?

    @Flag(help: "Print the figures as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if !(1...100_000).contains(count) { throw ValidationError("--count should be in 1…100000.") }
        if !(16...2048).contains(length) { throw ValidationError("--length should be in 16…2048.") }
    }

    func run() throws {
        if let program { return try runProgram(SequenceProgram(parsing: program)) }
        var compressors: [any Compressor] = []
        for method in methods { compressors.append(try CompressorArgument.open(method, pool: shared.pool)) }
        let test = KolmogorovTest(compressors: compressors)
        var rows = [
            try test.run(
                "random programs", KolmogorovCase.random(count, lengths: 32...2 * length, seed: seed),
                quiet: shared.quiet)
        ]
        for file in files {
            let cases = KolmogorovCase.pieces(of: try Files.bytes(file), length: length, count: count)
            rows.append(try test.run(TextFile.fileName(file), cases, quiet: shared.quiet))
        }
        present(rows)
    }

    private func runProgram(_ program: SequenceProgram) throws(PithError) {
        let output = try program.run()
        print(output.map { "\($0)" }.joined(separator: " "))
        let bits = (try program.priorBits()).formatted(decimals: 1)
        print("\(output.count) bytes by a program of \(bits) bits, \(try program.encoded().count) bytes as coded")
    }

    private func present(_ rows: [KolmogorovTest.Row]) {
        if json {
            printJSON(
                .array(
                    rows.map { row in
                        var object = JSONObject()
                        object["name"] = .string(row.name)
                        object["count"] = .integer(row.count)
                        object["bytes"] = .integer(row.bytes)
                        object["priorBitsPerByte"] = row.priorBits.map { .real($0) } ?? .null
                        object["programBitsPerByte"] = row.programBits.map { .real($0) } ?? .null
                        object["foundBitsPerByte"] = .real(row.foundBits)
                        object["foundShare"] = .real(row.foundShare)
                        for (method, bits) in zip(methods, row.compressedBits) { object[method] = .real(bits) }
                        return .object(object)
                    }))
        } else {
            let cells = rows.map { row in
                [row.name, "\(row.count)", "\(row.bytes)"]
                    + [row.priorBits, row.programBits].map { $0.map { $0.formatted(decimals: 3) } ?? "" }
                    + [row.foundBits.formatted(decimals: 3), "\((row.foundShare * 100).formatted(decimals: 0)) %"]
                    + row.compressedBits.map { $0.formatted(decimals: 3) }
            }
            let header = ["sequences", "count", "bytes", "ideal", "program", "search", "found"] + methods
            print(TextTable(header: header, rows: cells).text)
            print("Bits per byte: ideal is -log2 of the programs' prior; found counts programs shorter than the bytes.")
        }
    }
}
