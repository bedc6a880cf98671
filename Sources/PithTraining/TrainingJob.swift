import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTokens

/// From text files to a model folder: the tokenizer, the tokens, the run and what is written.
///
/// What a resumed run needs again lies in a folder of its own beside the model.
public struct TrainingJob {
    /// What goes in.
    public struct Inputs {
        /// What is trained.
        public enum Model {
            /// A new model: a file with its configuration, and a folder with its tokenizer; without one, a tokenizer is
            /// made from the texts.
            case new(configuration: String, tokenizerFolder: String? = nil)
            /// A new model for a file of tokens, which takes the place of texts and tokenizer.
            case ofTokens(String, configuration: String)
            /// A model that was there before.
            case continued(TrainingBase)
        }

        /// What is trained.
        public var model: Model
        /// Files of documents.
        public var texts: [String]
        /// Files of documents to measure on; without them the texts' tail.
        public var heldOut: [String]
        /// `name=value`, before what a file says or what is usual.
        public var overrides: [String]
        /// Memory that a model that was there before may take while it learns; nil for no limit.
        public var memoryLimit: ByteCount?

        /// Inputs.
        public init(_ model: Model, texts: [String] = [], heldOut: [String] = [], overrides: [String] = []) {
            (self.model, self.texts, self.heldOut, self.overrides) = (model, texts, heldOut, overrides)
        }
    }

    /// What a trainer is made of.
    private enum Plan {
        case new(TrainingConfiguration)
        case continued(TrainingBase, TrainingSettings)
    }

    private let plan: Plan
    /// The file of a new model's tokenizer; nil for a model of given tokens.
    private let tokenizerDocument: JSONValue?
    /// What is learned from.
    public let training: TokenizedText
    /// What is measured on.
    public let heldOut: TokenizedText

    private static let checkpointName = "checkpoint.safetensors"
    /// The configuration beside the model.
    public static let configurationName = "training.json"

    /// Makes the tokenizer and the tokens, or takes those in `workFolder` if they were made from the same.
    public init(
        _ inputs: Inputs, workFolder: String, pool: ThreadPool, quiet: Bool = false
    ) throws(PithError) {
        let maker = TokenMaker(workFolder: workFolder, pool: pool, quiet: quiet)
        switch inputs.model {
        case .ofTokens(let path, let configuration):
            let file = try TokenFile(contentsOf: path)
            try Files.makeFolder(workFolder)
            (training, heldOut, tokenizerDocument) = (file.training, file.heldOut, nil)
            plan = .new(
                try TrainingConfiguration(
                    contentsOf: configuration, overrides: inputs.overrides, vocabularySize: file.vocabularySize))
        case .continued(let base):
            var settings = try base.settings.overridden(by: inputs.overrides, contextLength: base.contextLength)
            if let limit = inputs.memoryLimit {
                settings = try base.settings(settings, within: limit, threads: pool.threadCount)
            }
            plan = .continued(base, settings)
            (training, heldOut) = try maker.tokens(of: try Self.texts(inputs), base)
            tokenizerDocument = nil
        case .new(let path, let folder):
            let given = try folder.map { (folder) throws(PithError) in
                try JSONValue(contentsOf: joinPath(folder, Tokenizer.fileName))
            }
            let size = try given.map { (json) throws(PithError) in try Tokenizer(json: json).vocabularySize }
            var configuration = try TrainingConfiguration(
                contentsOf: path, overrides: inputs.overrides, vocabularySize: size)
            let made = try maker.tokens(
                of: try Self.texts(inputs), given, vocabularySize: configuration.model.vocabularySize)
            // A small text may not yield as many tokens as were asked for.
            let tokenizer = try Tokenizer(json: made.document)
            let separator = Int(try TokenizedText.separator(of: tokenizer))
            configuration.model.vocabularySize = tokenizer.vocabularySize
            configuration.model.bosToken = separator
            configuration.model.eosTokens = [separator]
            plan = .new(configuration)
            (training, heldOut, tokenizerDocument) = (made.training, made.heldOut, made.document)
        }
    }

    private static func texts(_ inputs: Inputs) throws(PithError) -> TokenMaker.Texts {
        var training = try TrainingText(files: inputs.texts)
        let heldOut = inputs.heldOut.isEmpty ? training.splitOffTail() : try TrainingText(files: inputs.heldOut)
        guard training.byteCount > 0, heldOut.byteCount > 0 else {
            throw .data(
                "the text is too short to keep a part of it apart", remedy: "give more, or another file to measure on")
        }
        return (training, heldOut)
    }

    /// The run, before its first step.
    public func makeTrainer(pool: ThreadPool) throws(PithError) -> Trainer {
        switch plan {
        case .new(let configuration): try Trainer(configuration, tokens: training.tokens, pool: pool)
        case .continued(let base, let settings):
            try Trainer(base, settings, tokens: training.tokens, pool: pool)
        }
    }

    /// Where the state of an unfinished run lies.
    public static func checkpointPath(in workFolder: String) -> String { joinPath(workFolder, checkpointName) }

    /// Writes a complete Hugging Face folder, or that of adapters, with the configuration of the training beside it.
    public func write(_ trainer: Trainer, to folder: String) throws(PithError) {
        switch plan {
        case .new(let configuration):
            try trainer.exportModel(to: folder)
            if let tokenizerDocument {
                try tokenizerDocument.write(to: joinPath(folder, Tokenizer.fileName))
                // The separator stood before every document, and the tokenizer itself does not say so.
                try TokenizerSettings.json(beginning: TrainingText.separator)
                    .write(to: joinPath(folder, TokenizerSettings.fileName))
            }
            try configuration.json.write(to: joinPath(folder, Self.configurationName))
        case .continued(_, let settings):
            try trainer.exportModel(to: folder)
            try JSONValue.object(settings.json).write(to: joinPath(folder, Self.configurationName))
        }
    }
}

/// Makes tokens of texts, or takes those that were made of the same texts before.
private struct TokenMaker {
    typealias Texts = (training: TrainingText, heldOut: TrainingText)

    let workFolder: String
    let pool: ThreadPool
    let quiet: Bool

    private static let names = ["training", "heldOut"]
    private var path: String { joinPath(workFolder, "tokens.safetensors") }

    /// The tokens of a model that was there before.
    func tokens(
        of texts: Texts, _ base: TrainingBase
    ) throws(PithError) -> (training: TokenizedText, heldOut: TokenizedText) {
        let digest = Self.digest([texts.training.digest, texts.heldOut.digest, base.identity])
        try Files.makeFolder(workFolder)
        if let kept = try TokenizedText.load(Self.names, madeFrom: digest, from: path) { return (kept[0], kept[1]) }
        let separator = try base.separator()
        return try encode(texts, base.source.tokenizer, separator, madeFrom: digest)
    }

    /// The tokens of a given tokenizer, or of one that is made from the text.
    func tokens(
        of texts: Texts, _ given: JSONValue?, vocabularySize: Int
    ) throws(PithError) -> (document: JSONValue, training: TokenizedText, heldOut: TokenizedText) {
        let origin = given?.compactText ?? "BPE \(vocabularySize)"
        let digest = Self.digest([texts.training.digest, texts.heldOut.digest, origin])
        try Files.makeFolder(workFolder)
        let tokenizerPath = joinPath(workFolder, Tokenizer.fileName)
        if Files.exists(tokenizerPath),
            let kept = try TokenizedText.load(Self.names, madeFrom: digest, from: path)
        {
            return (try JSONValue(contentsOf: tokenizerPath), kept[0], kept[1])
        }
        let document =
            if let given { given } else {
                try BytePairTrainer.train(
                    on: texts.training.documents, vocabularySize: vocabularySize,
                    specialTokens: [TrainingText.separator], quiet: quiet)
            }
        try document.write(to: tokenizerPath)
        let made = try encode(texts, try Tokenizer(json: document), nil, madeFrom: digest)
        return (document, made.training, made.heldOut)
    }

    private func encode(
        _ texts: Texts, _ tokenizer: Tokenizer, _ separator: Int32?, madeFrom digest: String
    ) throws(PithError) -> (training: TokenizedText, heldOut: TokenizedText) {
        let training = try TokenizedText(
            texts.training, tokenizer: tokenizer, separator: separator, pool: pool, quiet: quiet)
        let heldOut = try TokenizedText(
            texts.heldOut, tokenizer: tokenizer, separator: separator, pool: pool, quiet: quiet)
        try TokenizedText.save(Array(zip(Self.names, [training, heldOut])), madeFrom: digest, to: path)
        return (training, heldOut)
    }

    private static func digest(_ texts: [String]) -> String {
        let all = Array(texts.joined(separator: "\n").utf8)
        return all.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    }
}
