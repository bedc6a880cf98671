import ArgumentParser
import Pith

/// Writes a model in the format of another program.
struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Write a model in another format: GGUF, Hugging Face, GPTQ, AWQ, MLX …",
        discussion: """
            What the model holds is kept as it is wherever the format has a place for it, and the command says whether \
            every weight is the same. A model of floats is rounded to a format of fewer bits, each weight to the \
            nearest level; 'pith compress --format' does that with the methods of compression.
            """)

    @Argument(help: "A model folder, a .gguf file, or a built-in model's name.")
    var model: String

    @Argument(help: "The file or folder to write; it must not exist yet.")
    var output: String

    @Option(
        help: """
            The format, for example gguf:Q4_0, hf:BF16, gptq:bits=4,group=128; by default gguf where the output's name \
            ends with .gguf, else hf. 'pith methods' lists them.
            """)
    var to: String?

    @Option(help: "Also say by how much predictions differ on this text.")
    var text: String?

    @Flag(help: "Check and say how large the result will be; write nothing.")
    var dryRun = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let source = try ModelSource.open(model)
        let pool = shared.pool
        let format = try to.map { try FormatCatalogue.format($0) } ?? FormatCatalogue.format(ofPath: output)
        let converter = try ModelConverter(source, to: format, pool: pool)
        guard !dryRun else {
            if json {
                printJSON(["bytes": .integer(converter.byteCount.value)])
            } else {
                print("\(output): about \(converter.byteCount) of weights")
            }
            return
        }
        let report = try converter.run(to: output, quiet: shared.quiet)
        let divergence: Estimate? = if let text { try divergence(from: source, on: text, pool) } else { nil }
        if json { printJSON(document(report, divergence)) } else { show(report, divergence) }
    }

    private func divergence(from source: ModelSource, on text: String, _ pool: ThreadPool) throws(PithError) -> Estimate
    {
        let (name, content) = try TextFile.load(text)
        let reference = try source.loadModel(pool: pool)
        let evaluated = try EvaluationText(
            content, name: name, tokenizer: source.tokenizer, configuration: source.configuration,
            windowLength: min(512, source.configuration.contextLength))
        let results = try Evaluator().measure(
            reference, against: [ModelSource(output).loadModel(pool: pool)], on: evaluated, quiet: shared.quiet)
        return results[1].klDivergence
    }

    private func document(_ report: ConversionReport, _ divergence: Estimate?) -> JSONValue {
        var object = JSONObject()
        object["output"] = .string(output)
        object["bytes"] = .integer(report.byteCount.value)
        object["originalBytes"] = .integer(report.originalByteCount.value)
        object["exact"] = .bool(report.isExact)
        object["weights"] = .integer(report.weightCount)
        object["equalWeights"] = .integer(report.equalCount)
        object["roundedMatrices"] = .integer(report.roundedCount)
        object["largestError"] = .real(Double(report.largestError.value))
        object["relativeError"] = .real(report.relativeError)
        object["klDivergence"] = divergence.map { .real($0.value) }
        object["forms"] = .object(
            report.forms.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .integer($1.value) })
        return .object(object)
    }

    private func show(_ report: ConversionReport, _ divergence: Estimate?) {
        let forms = report.forms.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) × \($0.key)" }
        print("\(output): \(report.byteCount), from \(report.originalByteCount); \(forms.joined(separator: ", "))")
        if report.isExact {
            print("every weight is the same")
        } else {
            let share = Double(report.equalCount) / Double(max(1, report.weightCount)) * 100
            let rounded = report.roundedCount > 0 ? "\(report.roundedCount) matrices were rounded; " : ""
            print(
                rounded + "\(share.formatted(significant: 3)) % of the weights are the same, the largest difference is "
                    + "\(Double(report.largestError.value).formatted(significant: 2)) in \(report.largestError.parameter), "
                    + "all differences together \((report.relativeError * 100).formatted(significant: 2)) % of the weights"
            )
        }
        if let divergence {
            let (value, error) = (divergence.value, divergence.standardError)
            print("KL divergence: \(value.compact(significant: 3)) ±\(error.compact(significant: 1)) nats a token")
        }
    }
}
