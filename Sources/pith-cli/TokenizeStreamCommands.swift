import ArgumentParser
import Foundation
import Pith

/// Which tokens text becomes.
struct TokenStreamOptions: ParsableArguments {
    /// How tokens are made.
    enum Method: String, CaseIterable, ExpressibleByArgument {
        case equalInfo = "equal-info"
        case arithmetic, tokenizer, meta
    }

    @Option(
        help: ArgumentHelp(
            "How tokens are made.",
            discussion: """
                equal-info: windows of equal information. arithmetic: bytes of one arithmetic-coded stream, to \
                compare with. tokenizer: those of a tokenizer, in chunks. meta: the same, each chunk shortened by \
                meta-tokens.
                """))
    var method: Method

    @Option(help: "equal-info: bits of a window, 8 to 24.")
    var bits = 12

    @Option(help: "equal-info, arithmetic: bits of a token, up to 16, a divisor of a window's; by default a window's.")
    var tokenBits: Int?

    @Option(help: "equal-info, arithmetic: the byte model.")
    var byteModel: String?

    @Option(help: "tokenizer, meta: the tokenizer, a file or a folder.")
    var tokenizer: String?

    @Option(help: "tokenizer, meta: tokens of a chunk.")
    var chunk = 1024

    @Option(help: "meta: the most definitions of a chunk.")
    var metaTokens = 256

    @Option(help: "meta: the most tokens that a meta-token stands for.")
    var longestRun = 32

    /// The way to tokens and back.
    func stream() throws -> TokenStream {
        switch method {
        case .equalInfo:
            return try TokenStream(EqualInfoWindows(model: loadByteModel(), bits: bits), tokenBits: tokenBits ?? bits)
        case .arithmetic: return try TokenStream(ArithmeticTokens(model: loadByteModel()), tokenBits: tokenBits ?? bits)
        case .tokenizer, .meta:
            guard let tokenizer else { throw PithError.usage("--tokenizer is needed") }
            return try TokenStream(
                TokenizerFile.load(tokenizer), chunk: chunk, metaTokens: method == .meta ? metaTokens : 0,
                longestRun: longestRun)
        }
    }

    private func loadByteModel() throws -> ByteContextModel {
        guard let byteModel else {
            throw PithError.usage("--byte-model is needed", remedy: "'pith tokenize model' writes one")
        }
        return try ByteContextModel(contentsOf: byteModel)
    }
}

/// `pith tokenize encode`: text to a file of tokens.
struct TokenizeEncodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode", abstract: "Turn text into a file of tokens that 'pith train --tokens' takes.")

    @OptionGroup var options: TokenStreamOptions

    @Option(parsing: .upToNextOption, help: "Text files to learn from.")
    var text: [String]

    @Option(parsing: .upToNextOption, help: "Text files to measure on; by default the last hundredth of the text.")
    var heldOut: [String] = []

    @Option(name: .shortAndLong, help: "The file to write.")
    var out: String

    func run() throws {
        let stream = try options.stream()
        var training = try TrainingText(files: text)
        let measured = heldOut.isEmpty ? training.splitOffTail() : try TrainingText(files: heldOut)
        let file = TokenFile(
            training: try stream.encode(training), heldOut: try stream.encode(measured),
            vocabularySize: stream.vocabularySize, method: options.method.rawValue)
        try file.write(to: out)
        let rows = [("training", file.training), ("held out", file.heldOut)].map { name, text in
            [
                name, "\(text.tokens.count)",
                (Double(text.byteCount) / Double(text.tokens.count)).formatted(decimals: 3),
                text.entropy.formatted(decimals: 3), log(Double(file.vocabularySize)).formatted(decimals: 3),
            ]
        }
        // What a model must beat that knows how often each token occurs, and one that knows nothing.
        print(TextTable(header: ["", "tokens", "bytes/token", "entropy, nats", "uniform, nats"], rows: rows).text)
    }
}

/// `pith tokenize decode`: a file of tokens to text.
struct TokenizeDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Turn a file of tokens back into text, with the options it was made with.")

    @OptionGroup var options: TokenStreamOptions

    @Argument(help: "The file of tokens.")
    var tokens: String

    @Option(name: .shortAndLong, help: "The text file to write.")
    var out: String

    @Flag(help: "Write the held-out text, not the training text.")
    var heldOut = false

    func run() throws {
        let stream = try options.stream()
        let file = try TokenFile(contentsOf: tokens)
        let parts = try stream.decode((heldOut ? file.heldOut : file.training).tokens)
        // Chunks of a tokenizer belong together; documents stand apart.
        let isChunked = options.method == .tokenizer || options.method == .meta
        let mark = isChunked ? [] : Array("\n\(TrainingText.separator)\n".utf8)
        try AtomicFile.write(Array(parts.joined(separator: mark)), to: out)
    }
}

/// `pith tokenize meta`: how much shorter meta-tokens make a text.
struct TokenizeMetaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meta", abstract: "Say how many tokens meta-tokens save, and check that they give the text back.")

    @Argument(help: "Files of text.")
    var files: [String]

    @Option(help: "The tokenizer, a file or a folder; by default that of nano.")
    var tokenizer: String?

    @Option(help: "Tokens that are shortened together.")
    var chunk = 4096

    @Option(help: "The most definitions of a chunk.")
    var metaTokens = 1024

    @Option(help: "The most tokens that a meta-token stands for.")
    var longestRun = 64

    func run() throws {
        let tokenizer = try loadTokenizer()
        let meta = try MetaTokens(
            vocabularySize: tokenizer.vocabularySize, metaTokenCount: metaTokens, longestRun: longestRun)
        var rows: [[String]] = []
        for file in files {
            let tokens = tokenizer.encode(try Files.text(file), .plain).map { Int32($0) }
            var count = 0
            for start in stride(from: 0, to: tokens.count, by: chunk) {
                let part = Array(tokens[start..<min(start + chunk, tokens.count)])
                let short = try meta.compress(part)
                guard try meta.expand(short) == part else {
                    throw PithError.fault("the tokens from \(start) on did not come back", at: file)
                }
                count += short.count
            }
            let saved = 100 * (1 - Double(count) / Double(max(1, tokens.count)))
            rows.append([TextFile.fileName(file), "\(tokens.count)", "\(count)", saved.formatted(decimals: 1) + " %"])
        }
        print(TextTable(header: ["text", "tokens", "with meta-tokens", "saved"], rows: rows).text)
    }

    private func loadTokenizer() throws -> Tokenizer {
        if let tokenizer { return try TokenizerFile.load(tokenizer) }
        guard let nano = BuiltIn.modelFolder("nano") else {
            throw PithError.usage("--tokenizer is needed: nano was not installed with the program")
        }
        return try Tokenizer(folder: nano)
    }

    func validate() throws {
        if chunk < 2 { throw ValidationError("--chunk should be at least 2.") }
    }
}
