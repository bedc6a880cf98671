import ArgumentParser
import Pith

/// Measures how much two texts have in common, or labels texts by their neighbours.
struct DistanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "distance", abstract: "Measure what two texts have in common by how well one codes the other.",
        discussion: """
            A method is 'model': code lengths under a language model, K(x|y) being what x takes behind y; 'embedding' \
            (with --classify): the cosine between mean hidden states; 'command:gzip -9n': the size of what a program \
            writes, K(x|y) being C(yx) - C(y); or a method of 'pith zip'.

            The distance is max(K(x|y), K(y|x)) / max(K(x), K(y)), or with --form sum (K(x|y) + K(y|x)) / (K(x) + K(y)). \
            With --classify the arguments are files of \
            label<TAB>text lines: the texts of the second are given the label of their neighbours in the first.
            """)

    @Argument(help: "A text file; with --classify, texts with labels to learn from.")
    var first: String

    @Argument(help: "A text file; with --classify, texts with labels to test on.")
    var second: String

    @Flag(help: "Label the texts of the second file by those of the first.")
    var classify = false

    @Option(help: "What measures; may be given several times with --classify.")
    var method: [String] = []

    @Option(help: "The language model: a folder, or a built-in model's name.")
    var model = "nano"

    @Option(help: "How code lengths become a distance.")
    var form = InformationForm.largest

    @Option(help: "How many neighbours vote for a label.")
    var neighbours = 1

    @Option(help: "A file that keeps code lengths from call to call; one for each method, the later ones numbered.")
    var cache: String?

    @Flag(help: "Print the figures as JSON.")
    var json = false

    @OptionGroup var runtime: RuntimeOptions

    func validate() throws {
        if neighbours < 1 { throw ValidationError("--neighbours should be at least 1.") }
        if !classify && method.count > 1 { throw ValidationError("Two texts are measured by one --method.") }
    }

    private var methods: [String] { method.isEmpty ? ["model"] : method }

    func run() throws {
        if classify { try classifyTexts() } else { try measurePair() }
    }

    private func measurePair() throws(PithError) {
        let (x, y) = (try Files.text(first), try Files.text(second))
        let pair = try InformationDistance(try code(methods[0])).pair(x, y)
        if json {
            printJSON([
                "method": .string(methods[0]), "x": .real(pair.x), "y": .real(pair.y),
                "xGivenY": .real(pair.xGivenY), "yGivenX": .real(pair.yGivenX), "distance": .real(pair.distance(form)),
            ])
        } else {
            let figures = [
                ("K(x)", pair.x, x.utf8.count), ("K(y)", pair.y, y.utf8.count),
                ("K(x|y)", pair.xGivenY, x.utf8.count), ("K(y|x)", pair.yGivenX, y.utf8.count),
            ]
            let rows = figures.map { name, bits, bytes in
                [name, bits.formatted(decimals: 0), (bits / Double(max(1, bytes))).formatted(decimals: 3)]
            }
            print(TextTable(header: ["length", "bits", "bits/byte"], rows: rows).text)
            print("distance \(pair.distance(form).formatted(decimals: 4))")
        }
    }

    private func classifyTexts() throws(PithError) {
        let (known, asked) = (try LabelledText.load(first), try LabelledText.load(second))
        let classifier = NeighbourClassifier(neighbours: neighbours)
        var rows: [(method: String, accuracy: Estimate)] = []
        for (index, method) in methods.enumerated() {
            let path = cache.map { index == 0 ? $0 : "\($0).\(index + 1)" }
            let accuracy = try classifier.accuracy(
                of: asked, among: known, by: distance(method, cachePath: path), quiet: runtime.shared.quiet)
            rows.append((method, accuracy))
        }
        if json {
            printJSON(
                .array(
                    rows.map {
                        [
                            "method": .string($0.method), "accuracy": .real($0.accuracy.value),
                            "accuracyError": .real($0.accuracy.standardError),
                        ]
                    }))
        } else {
            let labels = Set(known.map(\.label)).count
            print("\(asked.count) texts by \(known.count) of \(labels) labels, \(neighbours) neighbours")
            let cells = rows.map {
                [
                    $0.method, "\(($0.accuracy.value * 100).formatted(decimals: 1)) %",
                    "±\(($0.accuracy.standardError * 100).formatted(decimals: 1))",
                ]
            }
            print(TextTable(header: ["method", "accuracy", "error"], rows: cells).text)
        }
    }

    private func distance(_ method: String, cachePath: String?) throws(PithError) -> any TextDistance {
        guard method == "embedding" else {
            return InformationDistance(try code(method), form: form, cachePath: cachePath)
        }
        let folder = try ModelSource.open(model)
        return EmbeddingDistance(try runtime.loadModel(folder), tokenizer: folder.tokenizer)
    }

    private func code(_ method: String) throws(PithError) -> any CodeLength {
        if method == "model" {
            let folder = try ModelSource.open(model)
            return ModelCodeLength(try runtime.loadModel(folder), tokenizer: folder.tokenizer, name: model)
        }
        guard method != "embedding" else {
            throw .usage("embeddings have no code length", remedy: "use --method embedding with --classify")
        }
        return CompressorCodeLength(try CompressorArgument.open(method, pool: runtime.shared.pool))
    }
}

extension InformationForm: ExpressibleByArgument {}

/// Compressors by what stands on the command line.
enum CompressorArgument {
    /// `command:…`, or a method of the data plane.
    static func open(_ text: String, pool: ThreadPool) throws(PithError) -> any Compressor {
        let mark = "command:"
        if text.hasPrefix(mark) { return try CommandCompressor(String(text.dropFirst(mark.count))) }
        return try MethodCompressor(Spec(parsing: text), context: CodingContext(pool: pool))
    }
}
