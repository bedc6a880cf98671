import PithCore
import PithFormats
import PithModels

/// A language model that codes data, and what tells it from others.
public struct CodingModel: Sendable {
    /// The model.
    public var model: LanguageModel
    /// Its tokens.
    public var tokenizer: Tokenizer
    /// The first eight bytes of a SHA-256 over the configuration, tokenizer and weight files; `ModelFingerprint`
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

/// Opens language models by name or folder, the texts that other models learn first, and first weights of networks.
public struct ModelLibrary: Sendable {
    private let opening: @Sendable (String, ThreadPool) throws(PithError) -> CodingModel
    private let readingPrimer: @Sendable (Int) throws(PithError) -> [UInt8]
    private let readingNetwork: @Sendable (Int) throws(PithError) -> [UInt8]

    /// A library that opens models with `opening`, and reads primers with `primer` and weights with `network`.
    public init(
        _ opening: @escaping @Sendable (String, ThreadPool) throws(PithError) -> CodingModel,
        primer: @escaping @Sendable (Int) throws(PithError) -> [UInt8],
        network: @escaping @Sendable (Int) throws(PithError) -> [UInt8]
    ) {
        self.opening = opening
        readingPrimer = primer
        readingNetwork = network
    }

    /// No models, no primers and no weights.
    public static let none = ModelLibrary(
        { (name, _) throws(PithError) in throw .data("the language model '\(name)' is not at hand") },
        primer: { (number) throws(PithError) in throw .data("the primer \(number) is not at hand") },
        network: { (number) throws(PithError) in throw .data("the network's weights \(number) are not at hand") })

    /// The model of a name.
    public func open(_ name: String, pool: ThreadPool) throws(PithError) -> CodingModel { try opening(name, pool) }

    /// The text of a number, which never changes.
    public func primer(_ number: Int) throws(PithError) -> [UInt8] { try readingPrimer(number) }

    /// The file of a network's first weights of a number, which never changes.
    public func networkWeights(_ number: Int) throws(PithError) -> [UInt8] { try readingNetwork(number) }
}

extension CodingModel {
    /// The model of a folder, with its fingerprint. A model is refused whose predictions depend on how a text is cut, for
    /// a decoder reads token by token what an encoder reads at once.
    public init(_ folder: ModelSource, layouts: LayoutCatalogue, pool: ThreadPool) throws(PithError) {
        guard !folder.description.rotaries.contains(where: \.scaling.followsLength) else {
            throw .usage(
                "has rotary angles that follow the length of the text, with which nothing can be coded",
                at: folder.path, remedy: "take a model without dynamic or longrope scaling")
        }
        let fingerprint = try ModelFingerprint(folder, pool: pool)
        self.init(
            model: try folder.loadModel(layouts: layouts, pool: pool), tokenizer: folder.tokenizer,
            fingerprint: fingerprint.value, size: fingerprint.size)
    }
}
