import ArgumentParser
import Pith

/// Divides data into structure and noise.
struct EpiplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "epiplexity", abstract: "Divide data into structure that a small learner finds, and noise.",
        discussion: """
            A small model reads windows of the data once. What its loss curve has above the final loss is the \
            structure that it had to learn, in bits; the final loss is noise to it.
            """)

    @Argument(help: "Files of any kind.")
    var files: [String]

    @Option(help: "Bytes of each file that are learned from.")
    var bytes = 200_000

    @Option(help: "The seed of all random choices.")
    var seed: UInt64 = 1

    @Flag(help: "Learn each window from its end to its beginning, too.")
    var reversed = false

    @Flag(
        help: ArgumentHelp(
            "Describe what was learned to a student, too.",
            discussion: "The student learns from windows that the learner writes; the bits are what those take to send."
        ))
    var requential = false

    @Flag(help: "Print the figures and loss curves as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        var rows: [(name: String, result: Epiplexity.Result)] = []
        for file in files {
            let data = Array(try Files.bytes(file).prefix(max(0, bytes)))
            for isReversed in reversed ? [false, true] : [false] {
                var measure = Epiplexity()
                (measure.seed, measure.hasStudent) = (seed, requential)
                do throws(PithError) {
                    let result = try measure.measure(
                        data, reversed: isReversed, pool: shared.pool, quiet: shared.quiet)
                    rows.append((TextFile.fileName(file) + (isReversed ? ", reversed" : ""), result))
                } catch { throw error.within(file) }
            }
        }
        present(rows)
    }

    private func present(_ rows: [(name: String, result: Epiplexity.Result)]) {
        guard !json else { return printJSON(.array(rows.map { json(of: $0.result, $0.name) })) }
        let header =
            ["data", "bytes", "structure, kbit", "noise, kbit", "final bits/byte"]
            + (requential ? ["requential, kbit", "student's bits/byte"] : [])
        print(TextTable(header: header, rows: rows.map { cells(of: $0.result, $0.name) }).text)
    }

    private func json(of result: Epiplexity.Result, _ name: String) -> JSONValue {
        let student = result.student
        return [
            "name": .string(name), "bytes": .integer(result.bytes),
            "structureBits": .real(result.structure.value), "structureError": .real(result.structure.standardError),
            "noiseBits": .real(result.noise.value), "finalBitsPerByte": .real(result.finalRate.value),
            "requentialBits": student.map { .real($0.bits.value) } ?? .null,
            "requentialError": student.map { .real($0.bits.standardError) } ?? .null,
            "studentBitsPerByte": student.map { .real($0.finalRate.value) } ?? .null,
            "curve": .array(result.curve.map { .real($0) }),
        ]
    }

    private func cells(of result: Epiplexity.Result, _ name: String) -> [String] {
        func kilobits(_ bits: Estimate) -> String {
            Estimate(bits.value / 1000, standardError: bits.standardError / 1000).formatted(decimals: 1)
        }
        let cells = [
            name, "\(result.bytes)", kilobits(result.structure), (result.noise.value / 1000).formatted(decimals: 1),
            result.finalRate.formatted(decimals: 3),
        ]
        guard let student = result.student else { return cells }
        return cells + [kilobits(student.bits), student.finalRate.formatted(decimals: 3)]
    }
}

/// Codes examples by learning from those before them.
struct PrequentialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prequential", abstract: "Code examples one by one: learned in context, beside a trained learner.",
        discussion: """
            Each line is an example. The bits of an example are those under what was learned from the lines before it: \
            by the model reading them in its context, and by the same model trained on them.
            """)

    @Argument(help: .model)
    var model: String

    @Argument(help: "A text file with an example on each line.")
    var examples: String

    @Option(help: "Training steps after each example.")
    var steps = 2

    @Option(help: "The learning rate of training.")
    var rate = 3e-4

    @Flag(help: "Print the figures as JSON.")
    var json = false

    @OptionGroup var runtime: RuntimeOptions

    func validate() throws {
        if !(1...1000).contains(steps) { throw ValidationError("--steps should be in 1…1000.") }
        if !(rate > 0 && rate < 1) { throw ValidationError("--rate should be above 0 and below 1.") }
    }

    func run() throws {
        let folder = try ModelSource.open(model)
        let evaluated = EvaluatedModel(try runtime.loadModel(folder), tokenizer: folder.tokenizer)
        let lines = try Files.text(examples).split(separator: "\n").map(String.init)
        let inContext = try PrequentialCode.inContext(lines, evaluated)
        let coded = try PrequentialCode.arithmeticCode(lines, evaluated)
        let trained = try PrequentialCode.testTimeTrained(
            lines, folder, steps: steps, learningRate: rate, pool: runtime.shared.pool, quiet: runtime.shared.quiet)
        if json {
            printJSON([
                "inContext": .array(inContext.bits.map { .real($0) }),
                "trained": .array(trained.bits.map { .real($0) }), "codedBytes": .integer(coded.count),
            ])
            return
        }
        // Examples in eight groups, so that a curve can be seen.
        let size = max(1, (lines.count + 7) / 8)
        let rows = stride(from: 0, to: lines.count, by: size).map { start in
            let range = start..<min(start + size, lines.count)
            func mean(_ code: PrequentialCode) -> String {
                (code.bits[range].reduce(0, +) / Double(range.count)).formatted(decimals: 1)
            }
            return ["\(start + 1)…\(range.upperBound)", mean(inContext), mean(trained)]
        }
        print(TextTable(header: ["examples", "in context", "trained"], rows: rows).text)
        print(
            "bits for each example; all together: in context \(inContext.total.formatted(decimals: 1)) "
                + "(\(8 * coded.count) as coded), trained \(trained.total.formatted(decimals: 1))")
    }
}
