import ArgumentParser
import Pith

/// Makes vectors of texts.
struct EmbedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Make vectors of texts, for finding those that mean the same.",
        discussion: """
            The model is a folder of sentence-transformers, such as all-MiniLM-L6-v2; what modules.json says of pooling \
            and length is done. Where there is no such file the vector is the mean of the last hidden states. Without \
            -o a line of JSON is written for each text, in the order of the texts: its vector.
            """)

    @Argument(help: "A model: a folder, a .gguf file, or org/name that was pulled from a hub.")
    var model: String

    @Argument(help: "Texts.")
    var texts: [String] = []

    @Option(help: "A file with more texts, one on each line.")
    var text: String?

    @Option(
        name: [.short, .long],
        help: """
            A file to write: .npy or .safetensors (the tensor 'embeddings') for 32-bit floats, [texts, width]; .jsonl \
            for lines as they are printed.
            """)
    var output: String?

    @Option(help: "The name of the prompt that stands before each text, of those that the model's folder has.")
    var prompt: String?

    @Flag(help: "Print objects with text, number of tokens and vector in the place of vectors alone.")
    var json = false

    @OptionGroup var inputs: ActivationOptions
    @OptionGroup var shared: SharedOptions

    private enum Format: String, CaseIterable {
        case npy, safetensors, jsonl
    }

    func run() throws {
        let format = try output.map { (path) throws(PithError) in try Self.format(of: path) }
        let texts = try allTexts()
        let source = try ModelSource.open(model)
        var loaded = try source.loadModel(pool: shared.pool, allowingEncoders: true)
        try loaded.apply(inputs.plan)
        let encoder = try TextEncoder(source, loaded)
        if encoder.modules.isAssumed {
            PithCore.Progress.write(
                "pith: note: \(model) has no \(SentenceModules.fileName): vectors are the mean of the last hidden states\n"
            )
        }
        let vectors = try encoder.encode(texts, prompt: prompt, quiet: shared.quiet)
        if vectors.truncatedCount > 0 {
            PithCore.Progress.write(
                "pith: warning: \(vectors.truncatedCount) of \(texts.count) texts are longer than "
                    + "\(encoder.maximumLength) tokens and lost their end\n")
        }
        try write(vectors, of: texts, as: format)
    }

    private static func format(of path: String) throws(PithError) -> Format {
        guard let format = Format.allCases.first(where: { path.lowercased().hasSuffix(".\($0)") }) else {
            throw .usage(
                "its name does not say in which format to write", at: path,
                remedy: "it should end in \(Format.allCases.map { ".\($0)" }.joined(separator: ", "))")
        }
        return format
    }

    private func allTexts() throws(PithError) -> [String] {
        var all = texts
        if let text {
            var lines = try Files.text(text).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            // The last line ends, too.
            if lines.last?.isEmpty == true { lines.removeLast() }
            all += lines.map { String($0) }
        }
        guard !all.isEmpty else { throw .usage("there are no texts", remedy: "give some, or a file with --text FILE") }
        return all
    }

    private func write(_ vectors: TextEncoder.Vectors, of texts: [String], as format: Format?) throws(PithError) {
        switch (format, output) {
        case (.npy, let path?): try NumPyFile.write(vectors.values, to: path)
        case (.safetensors, let path?):
            try SafetensorsWriter.write([("embeddings", StoredTensor(vectors.values))], to: path)
        case (.jsonl, let path?):
            try AtomicFile.write(texts.indices.map { line($0, vectors, texts) + "\n" }.joined(), to: path)
        default: for index in texts.indices { print(line(index, vectors, texts)) }
        }
    }

    private func line(_ index: Int, _ vectors: TextEncoder.Vectors, _ texts: [String]) -> String {
        let vector = JSONValue.array(
            vectors.values.rows(index..<index + 1).values.map { value in
                // The shortest number that is read as the same float.
                .real(Double("\(value)") ?? Double(value))
            })
        guard json else { return vector.compactText }
        let object: JSONValue = [
            "text": .string(texts[index]), "tokens": .integer(vectors.tokenCounts[index]), "vector": vector,
        ]
        return object.compactText
    }
}
