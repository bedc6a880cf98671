import ArgumentParser
import Foundation
import Pith

/// Writes on after a prompt.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Let a model write on after a prompt, token by token.",
        discussion: "Several prompts are written on together; each text is the one that its prompt alone would get.")

    @Argument(help: .model)
    var model: String

    @Argument(help: "What to write on after; '-' reads standard input.")
    var prompts: [String] = []

    @Option(help: "At most so many tokens.")
    var maxTokens = 200

    @OptionGroup var sampling: SamplingArguments

    @Flag(help: "Take the prompt for a message, and write the model's answer to it; see 'pith chat'.")
    var chat = false

    @OptionGroup var chatOptions: ChatOptions

    @Option(help: "Go on from what was read and written before, as --save-state kept it.")
    var state: String?

    @Option(help: "Keep what was read and written, and all that the model remembers of it, in a file.")
    var saveState: String?

    @Flag(help: "Print the text and the figures as JSON when done.")
    var json = false

    @OptionGroup var runtime: RuntimeOptions
    private var shared: SharedOptions { runtime.shared }

    func run() throws {
        let options = try sampling.options()
        let folder = try ModelSource.open(model)
        let template = chat ? try chatOptions.template(of: folder) : nil
        var model = try runtime.loadModel(folder)
        if let template { model.endTokens = folder.chatEndTokens(template) }
        var texts: [String] = []
        for prompt in prompts.isEmpty ? [""] : prompts {
            texts.append(try prompt == "-" ? Self.standardInput() : Self.checked(prompt))
        }
        guard saveState == nil || texts.count == 1 else {
            throw PithError.usage("--save-state keeps one text", remedy: "give one prompt")
        }
        guard !chat || !prompts.isEmpty else {
            throw PithError.usage("there is no message", remedy: "give one, or talk to the model with 'pith chat'")
        }
        let fingerprint =
            state == nil && saveState == nil ? nil : try ModelFingerprint(folder, pool: shared.pool)
        let beginning = try fingerprint.flatMap { (fingerprint) throws(PithError) in
            try state.map { (path) throws(PithError) in
                try ReadSequence(contentsOf: path, for: model, fingerprint)
            }
        }
        if texts.count == 1 {
            let sequence = try writeOne(texts[0], beginning, model, folder, template, options)
            if let saveState, let fingerprint {
                try sequence?.write(to: saveState, cache: model.cache, model: fingerprint)
            }
        } else {
            try writeTogether(texts, beginning, model, folder, template, options)
        }
    }

    /// Prints at once, without a line feed.
    private func printText(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    private static func standardInput() throws(PithError) -> String {
        try String(strictUTF8: FileHandle.standardInput.readDataToEndOfFile(), at: "standard input")
    }

    /// A prompt from the command line, whose bytes that are no UTF-8 were replaced before anybody could look.
    private static func checked(_ prompt: String) throws(PithError) -> String {
        guard prompt.unicodeScalars.contains("\u{FFFD}") else { return prompt }
        for argument in UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc)) {
            guard let argument, String(cString: argument) == prompt else { continue }
            let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
            return try String(strictUTF8: bytes, at: "the prompt")
        }
        return prompt
    }

    private func writeOne(
        _ text: String, _ beginning: ReadSequence?, _ model: LanguageModel, _ folder: ModelSource,
        _ template: ChatTemplate?, _ options: SamplingOptions
    ) throws(PithError) -> ReadSequence? {
        let tokens = try promptTokens(text, beginning, folder, template)
        let clock = ContinuousClock()
        let start = clock.now
        var generated = try GeneratedTokens(
            model, after: tokens, beginning: beginning, options: options, maximumCount: maxTokens)
        let prefillSeconds = (clock.now - start).seconds
        let isEchoed = !json && !chat && prompts != ["-"]
        if isEchoed { printText(prompts.first ?? "") }
        let (written, count) = try generated.writeText(folder.tokenizer) { if !json { printText($0) } }
        if !json { printText("\n") }
        let decodeSeconds = (clock.now - start).seconds - prefillSeconds
        let prefillRate = Double(tokens.count) / max(prefillSeconds, 1e-9)
        let decodeRate = Double(count) / max(decodeSeconds, 1e-9)
        if json {
            printJSON([
                "prompt": .string(text), "text": .string(written), "promptTokens": .integer(tokens.count),
                "tokens": .integer(count), "prefillTokensPerSecond": .real(prefillRate),
                "decodeTokensPerSecond": .real(decodeRate), "cacheBytes": .integer(generated.cacheSize.value),
                "seed": .string("\(sampling.seed)"),
            ])
        } else if !shared.quiet {
            PithCore.Progress.write(
                "\n\(tokens.count) tokens read at \(prefillRate.formatted(decimals: 0)) per second, "
                    + "\(count) written at \(decodeRate.formatted(decimals: 0)) per second\n")
            writeContention(model.pool)
        }
        return generated.sequence
    }

    /// Writes on after all prompts at once, and prints the texts in the order of the prompts.
    private func writeTogether(
        _ texts: [String], _ beginning: ReadSequence?, _ model: LanguageModel, _ folder: ModelSource,
        _ template: ChatTemplate?, _ options: SamplingOptions
    ) throws(PithError) {
        let prompts = try texts.map { (text) throws(PithError) in
            try promptTokens(text, beginning, folder, template)
        }
        var (batch, written) = (BatchedGeneration(model), [BatchedGeneration.SequenceID: [Int]]())
        let order = try prompts.map { (prompt) throws(PithError) in
            try batch.add(prompt, after: beginning, options: options, maximumCount: maxTokens)
        }
        let clock = ContinuousClock()
        let start = clock.now
        while !batch.isEmpty {
            for output in try batch.step() where output.token != nil {
                written[output.sequence, default: []].append(output.token ?? 0)
            }
        }
        let seconds = max((clock.now - start).seconds, 1e-9)
        let tokens = order.map { written[$0] ?? [] }
        let (read, count) = (prompts.reduce(0) { $0 + $1.count }, tokens.reduce(0) { $0 + $1.count })
        let answers = tokens.map { decoded($0, folder.tokenizer) }
        if json {
            let list = zip(texts, zip(answers, zip(prompts, tokens))).map { text, rest -> JSONValue in
                [
                    "prompt": .string(text), "text": .string(rest.0), "promptTokens": .integer(rest.1.0.count),
                    "tokens": .integer(rest.1.1.count),
                ]
            }
            printJSON([
                "texts": .array(list), "tokensPerSecond": .real(Double(count) / seconds),
                "seed": .string("\(sampling.seed)"),
            ])
        } else {
            for (text, answer) in zip(texts, answers) { print((chat ? "" : text) + answer + "\n") }
            if !shared.quiet {
                PithCore.Progress.write(
                    "\(read) tokens read and \(count) written in \(seconds.formatted(decimals: 2)) seconds, "
                        + "\((Double(count) / seconds).formatted(decimals: 0)) written per second\n")
                writeContention(model.pool)
            }
        }
    }

    /// Says what may have slowed the loops down, if anything has.
    private func writeContention(_ pool: ThreadPool) {
        if let summary = pool.contention.summary { PithCore.Progress.write("\(summary)\n") }
    }

    private func decoded(_ tokens: [Int], _ tokenizer: Tokenizer) -> String {
        var decoder = StreamingDecoder(tokenizer, skippingSpecialTokens: true)
        return tokens.map { decoder.push($0) }.joined() + decoder.finish()
    }

    private func promptTokens(
        _ text: String, _ beginning: ReadSequence?, _ folder: ModelSource, _ template: ChatTemplate?
    ) throws(PithError) -> [Int] {
        if let template {
            let prompt = try template.prompt(
                try chatOptions.request(text), protecting: folder.tokenizer.specialTexts)
            return folder.tokenizer.encode(prompt)
        }
        guard beginning == nil else { return folder.tokenizer.encode(text, .written) }
        let tokens = folder.tokenizer.encodeFromBeginning(text)
        guard !tokens.isEmpty else {
            throw .usage("there is no prompt", remedy: "nothing stands before texts of this model; give it some text")
        }
        return tokens
    }
}
