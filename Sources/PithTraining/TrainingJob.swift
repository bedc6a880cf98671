import PithCore
import PithFormats
import PithTensor
import PithTokens

/// From text files to a model folder: the tokenizer, the tokens, the run and what is written.
///
/// What a resumed run needs again lies in a folder of its own beside the model.
public struct TrainingJob: Sendable {
    /// What goes in.
    public struct Inputs: Sendable {
        /// Files of documents.
        public var texts: [String]
        /// Files of documents to measure on; without them the texts' tail.
        public var heldOut: [String] = []
        /// A folder with a tokenizer; without one, a tokenizer is made from the texts.
        public var tokenizerFolder: String?
        /// A file of tokens instead of texts and a tokenizer.
        public var tokens: String?
        /// A configuration file.
        public var configuration: String
        /// `name=value`, before what the file says.
        public var overrides: [String] = []

        /// Inputs without the optional parts; `texts` may be empty if `tokens` is set.
        public init(texts: [String], configuration: String) {
            self.texts = texts
            self.configuration = configuration
        }
    }

    /// What decides the result.
    public let configuration: TrainingConfiguration
    /// The tokenizer's file; nil for a model of given tokens.
    public let tokenizerDocument: JSONValue?
    /// What is learned from.
    public let training: TokenizedText
    /// What is measured on.
    public let heldOut: TokenizedText

    private static let tokensName = "tokens.safetensors"
    private static let checkpointName = "checkpoint.safetensors"
    /// The configuration beside the model.
    public static let configurationName = "training.json"

    /// Makes the tokenizer and the tokens, or takes those in `workFolder` if they were made from the same.
    public init(
        _ inputs: Inputs, workFolder: String, pool: ThreadPool, quiet: Bool = false
    ) throws(PithError) {
        if let tokens = inputs.tokens {
            let file = try TokenFile(contentsOf: tokens)
            try Files.makeFolder(workFolder)
            (training, heldOut, tokenizerDocument) = (file.training, file.heldOut, nil)
            configuration = try TrainingConfiguration(
                contentsOf: inputs.configuration, overrides: inputs.overrides, vocabularySize: file.vocabularySize)
            return
        }
        var training = try TrainingText(files: inputs.texts)
        let heldOut = inputs.heldOut.isEmpty ? training.splitOffTail() : try TrainingText(files: inputs.heldOut)
        guard training.byteCount > 0, heldOut.byteCount > 0 else {
            throw .data(
                "the text is too short to keep a part of it apart", remedy: "give more, or another file to measure on")
        }
        var given: JSONValue?
        if let folder = inputs.tokenizerFolder {
            given = try JSONValue(contentsOf: joinPath(folder, Tokenizer.fileName))
        }
        let size = try given.map { (json) throws(PithError) in try Tokenizer(json: json).vocabularySize }
        var configuration = try TrainingConfiguration(
            contentsOf: inputs.configuration, overrides: inputs.overrides, vocabularySize: size)

        let origin = given?.compactText ?? "BPE \(configuration.model.vocabularySize)"
        let digest = Self.digest([training.digest, heldOut.digest, origin])
        try Files.makeFolder(workFolder)
        let tokensPath = joinPath(workFolder, Self.tokensName)
        let tokenizerPath = joinPath(workFolder, Tokenizer.fileName)
        let document: JSONValue
        if Files.exists(tokenizerPath),
            let kept = try TokenizedText.load(["training", "heldOut"], madeFrom: digest, from: tokensPath)
        {
            document = try JSONValue(contentsOf: tokenizerPath)
            (self.training, self.heldOut) = (kept[0], kept[1])
        } else {
            let vocabularySize = configuration.model.vocabularySize
            document =
                if let given { given } else {
                    try BytePairTrainer.train(
                        on: training.documents, vocabularySize: vocabularySize,
                        specialTokens: [TrainingText.separator], quiet: quiet)
                }
            let tokenizer = try Tokenizer(json: document)
            self.training = try TokenizedText(training, tokenizer: tokenizer, pool: pool, quiet: quiet)
            self.heldOut = try TokenizedText(heldOut, tokenizer: tokenizer, pool: pool, quiet: quiet)
            try document.write(to: tokenizerPath)
            try TokenizedText.save(
                [("training", self.training), ("heldOut", self.heldOut)], madeFrom: digest, to: tokensPath)
        }
        // A small text may not yield as many tokens as were asked for.
        let tokenizer = try Tokenizer(json: document)
        let separator = Int(try TokenizedText.separator(of: tokenizer))
        configuration.model.vocabularySize = tokenizer.vocabularySize
        configuration.model.bosToken = separator
        configuration.model.eosTokens = [separator]
        self.configuration = configuration
        tokenizerDocument = document
    }

    private static func digest(_ texts: [String]) -> String {
        let all = Array(texts.joined(separator: "\n").utf8)
        return all.withUnsafeBytes { SHA256.hexDigest(of: $0) }
    }

    /// Where the state of an unfinished run lies.
    public static func checkpointPath(in workFolder: String) -> String { joinPath(workFolder, checkpointName) }

    /// Writes a complete Hugging Face folder, with the configuration of the training beside it.
    public func write(_ trainer: Trainer, to folder: String) throws(PithError) {
        try trainer.exportModel(to: folder)
        if let tokenizerDocument {
            try tokenizerDocument.write(to: joinPath(folder, Tokenizer.fileName))
            // The separator stood before every document, and the tokenizer itself does not say so.
            try TokenizerSettings.json(beginning: TrainingText.separator)
                .write(to: joinPath(folder, TokenizerSettings.fileName))
        }
        try configuration.json.write(to: joinPath(folder, Self.configurationName))
    }
}
