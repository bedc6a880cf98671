import PithCore
import PithFormats
import PithModels

/// A language model that codes data, and what tells it from others.
public struct CodingModel: Sendable {
    /// The model.
    public var model: LanguageModel
    /// Its tokens.
    public var tokenizer: Tokenizer
    /// The first eight bytes of a SHA-256 over the configuration, tokenizer and weight files; `LanguageModelFingerprint`
    /// says how.
    public var fingerprint: UInt64
    /// The bytes of those files: what must be there beside an archive.
    public var size: ByteCount

    /// A model with its fingerprint.
    public init(model: LanguageModel, tokenizer: Tokenizer, fingerprint: UInt64, size: ByteCount) {
        self.model = model
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.size = size
    }
}

/// Opens language models by name or folder.
public struct ModelLibrary: Sendable {
    private let opening: @Sendable (String, ThreadPool) throws(PithError) -> CodingModel

    /// A library that opens models with `opening`.
    public init(_ opening: @escaping @Sendable (String, ThreadPool) throws(PithError) -> CodingModel) {
        self.opening = opening
    }

    /// No models.
    public static let none = ModelLibrary { (name, _) throws(PithError) in
        throw .data("the language model '\(name)' is not at hand")
    }

    /// The model of a name.
    public func open(_ name: String, pool: ThreadPool) throws(PithError) -> CodingModel { try opening(name, pool) }
}
