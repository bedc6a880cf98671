import ArgumentParser
import Pith

/// `pith tokenize`: tokens made by compression.
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Make tokenizers and token streams by compression, and measure them.",
        discussion: """
            A byte model ('model') predicts text by counts. Spans that it finds predictable make a tokenizer \
            ('train --method bytespan'); windows of equal information make one ('train --method equal-info') or a \
            stream of tokens ('encode'); runs that come again become meta-tokens ('meta', 'encode --method meta').
            """,
        subcommands: [
            TokenizeModelCommand.self, TokenizeTrainCommand.self, TokenizeCompareCommand.self,
            TokenizeEncodeCommand.self, TokenizeDecodeCommand.self, TokenizeMetaCommand.self,
        ])
}

/// `pith tokenize model`: a byte model from text.
struct TokenizeModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Learn a byte model from text and write it.")

    @Option(parsing: .upToNextOption, help: "Text files to learn from.")
    var text: [String]

    @Option(name: .shortAndLong, help: "The file to write.")
    var out: String

    @Option(help: "The longest context in bytes.")
    var order = 5

    @Option(help: "How often a string must occur to be kept.")
    var minimumCount = 2

    @Option(help: "A text file to measure on.")
    var heldOut: String?

    func run() throws {
        let texts = try TrainingText(files: text).documents.map { Array($0.utf8)[...] }
        let model = try ByteContextModel(learning: texts, order: order, minimumCount: minimumCount)
        try model.write(to: out)
        print("size           \(try Files.size(out))")
        print("strings        \(model.nodeCount)")
        if let heldOut {
            let bits = model.bitsPerByte(of: try Files.bytes(heldOut))
            print("bits per byte  \(bits.formatted(decimals: 4)) on \(TextFile.fileName(heldOut))")
        }
    }
}

/// `pith tokenize train`: a tokenizer from text.
struct TokenizeTrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Make a tokenizer.json that 'pith train --tokenizer' takes.")

    /// How tokens are found.
    enum Method: String, CaseIterable, ExpressibleByArgument {
        case bytespan, bpe
        case equalInfo = "equal-info"
    }

    @Option(help: "How tokens are found.")
    var method = Method.bytespan

    @Option(help: "Tokens of the vocabulary; equal-info has 2^bits.")
    var vocabulary = 4096

    @Option(parsing: .upToNextOption, help: "Text files to learn from.")
    var text: [String] = []

    @Option(name: .shortAndLong, help: "The file to write, or a folder for tokenizer.json.")
    var out: String

    @Option(help: "bytespan: what is asked about a byte.")
    var signal = SpanTokenizer.Settings().signal

    @Option(help: "bytespan: which bytes go on with a span.")
    var constraint = SpanTokenizer.Settings().constraint

    @Option(help: "bytespan: bytes with less than so many bits go on with a span.")
    var threshold = SpanTokenizer.Settings().threshold

    @Option(help: "bytespan: the part of the vocabulary that spans make; byte-pair merges make the rest.")
    var spanShare = SpanTokenizer.Settings().spanShare

    @Option(help: "equal-info: bits of a window, 8 to 16.")
    var bits = 12

    @Option(help: "equal-info: the byte model.")
    var byteModel: String?

    func run() throws {
        let document = try tokenizer()
        let path = Files.isFolder(out) ? joinPath(out, Tokenizer.fileName) : out
        try document.write(to: path)
        print("\(path): \(try Tokenizer(json: document).vocabularySize) tokens, \(try Files.size(path))")
    }

    private func tokenizer() throws -> JSONValue {
        if method == .equalInfo {
            guard let byteModel else {
                throw PithError.usage("--byte-model is needed", remedy: "'pith tokenize model' writes one")
            }
            return try EqualInfoWindows(model: ByteContextModel(contentsOf: byteModel), bits: bits).tokenizerDocument()
        }
        guard !text.isEmpty else { throw PithError.usage("--text is needed") }
        let documents = try TrainingText(files: text).documents
        if method == .bpe { return try BytePairTrainer.train(on: documents, vocabularySize: vocabulary) }
        var settings = SpanTokenizer.Settings()
        (settings.signal, settings.constraint) = (signal, constraint)
        (settings.threshold, settings.spanShare) = (threshold, spanShare)
        return try SpanTokenizer.train(on: documents, vocabularySize: vocabulary, settings: settings)
    }
}

extension SpanTokenizer.Signal: ExpressibleByArgument {}
extension SpanTokenizer.Constraint: ExpressibleByArgument {}

/// `pith tokenize compare`: tokenizers side by side.
struct TokenizeCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Measure tokenizers on a text: bytes per token, evenness of use, agreement with morphemes.",
        discussion: """
            Rényi is the entropy of order 2.5 of the tokens in the text over log2 of the vocabulary. The boundaries \
            are those of a list of English derivations and compounds that comes with Pith.
            """)

    @Argument(help: "Tokenizer files, or folders with a tokenizer.json.")
    var tokenizers: [String]

    @Option(parsing: .upToNextOption, help: "Text files to measure on; by default Pith's own guide.")
    var text: [String] = []

    @Flag(help: "Print the figures as JSON.")
    var json = false

    func run() throws {
        let texts = text.isEmpty ? [try TextFile.load(nil).content] : try TrainingText(files: text).documents
        var results: [(name: String, measures: TokenizerMeasures)] = []
        for path in tokenizers {
            results.append((path, try TokenizerMeasures(try TokenizerFile.load(path), on: texts)))
        }
        json ? printJSON(.array(results.map(Self.row))) : print(Self.table(results))
    }

    private static func row(_ name: String, _ measures: TokenizerMeasures) -> JSONValue {
        [
            "tokenizer": .string(name), "vocabularySize": .integer(measures.vocabularySize),
            "bytesPerToken": .real(measures.bytesPerToken), "renyiEfficiency": .real(measures.renyiEfficiency),
            "boundaryPrecision": .real(measures.boundaryPrecision), "boundaryRecall": .real(measures.boundaryRecall),
            "boundaryF1": .real(measures.boundaryF1), "words": .integer(measures.wordCount),
        ]
    }

    private static func table(_ results: [(name: String, measures: TokenizerMeasures)]) -> String {
        let rows = results.map { name, measures in
            [name, "\(measures.vocabularySize)"]
                + [
                    measures.bytesPerToken, measures.renyiEfficiency, measures.boundaryPrecision,
                    measures.boundaryRecall, measures.boundaryF1,
                ].map { $0.formatted(decimals: 3) }
        }
        return TextTable(
            header: ["tokenizer", "tokens", "bytes/token", "Rényi", "precision", "recall", "F1"], rows: rows
        ).text
    }
}

/// Tokenizers by path.
enum TokenizerFile {
    /// The tokenizer of a file, or of a model.
    static func load(_ name: String) throws(PithError) -> Tokenizer { try Tokenizer(at: ModelPath.find(name)) }
}
