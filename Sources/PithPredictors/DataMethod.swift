import PithCore

/// A lossless method for runs of bytes. One method is one file in `Methods/` and one line in `DataCatalogue`.
///
/// What `encode` made, `decode` must turn into the same bytes on every machine, instruction set and number of threads.
public protocol DataMethod: RegisteredMethod {
    /// The language model that is needed to open what was coded, by its name or folder; nil if none is.
    ///
    /// The archive keeps its fingerprint and refuses to decode with another.
    var modelName: String? { get }

    /// The fingerprint of what is needed to open `count` coded bytes beside the program: of the language model, or of a
    /// part of the context's base; nil if nothing is. Throws if it is not at hand.
    func fingerprint(for count: Int, _ context: CodingContext) throws(PithError) -> UInt64?

    /// About how many bytes of memory are needed to code or decode `count` bytes, the model, the bytes themselves and
    /// what they are coded to aside.
    func memory(for count: Int, _ context: CodingContext) -> Int

    /// About how many nanoseconds it takes to code or decode a byte on one thread: progress over several methods is
    /// weighed by it.
    var costPerByte: Int { get }

    /// How many bytes are gone through to code or decode `count` bytes: `CodingContext.advance` is told of all.
    func workCount(for count: Int, _ context: CodingContext) -> Int

    /// Codes `input`. Where the bits went is added to the context's trace, if it has one.
    ///
    /// Throws `PithError.usage` if the input is not of the kind that the method is for.
    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8]

    /// Appends the `count` bytes that `payload` holds to `output`, or throws.
    ///
    /// Bytes appended before an error must be right if the payload is a part of what `encode` made, cut at its end:
    /// they are what can be saved of a damaged archive. Nothing is allocated because of `count` alone; it may be wrong.
    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError)
}

extension DataMethod {
    /// That of methods which nothing else is weighed against.
    public var costPerByte: Int { 20_000 }
    /// Most methods go through the bytes alone.
    public func workCount(for count: Int, _ context: CodingContext) -> Int { count }
    /// Most methods need no language model.
    public var modelName: String? { nil }

    /// That of the language model.
    public func fingerprint(for count: Int, _ context: CodingContext) throws(PithError) -> UInt64? {
        try modelFingerprint(context)
    }

    /// The fingerprint of the language model, if the method needs one.
    func modelFingerprint(_ context: CodingContext) throws(PithError) -> UInt64? {
        try modelName.map { (name) throws(PithError) in
            try context.models.open(name, pool: context.pool).fingerprint
        }
    }
}

/// What `DataMethod.encode` made, or the undamaged beginning of it.
public struct CodedPayload: Sendable {
    /// The bytes.
    public var region: ByteRegion
    /// Whether bytes are missing at the end.
    public var isCut: Bool

    /// A payload.
    public init(_ region: ByteRegion, isCut: Bool = false) {
        self.region = region
        self.isCut = isCut
    }

    /// A whole payload.
    public init(_ bytes: [UInt8]) { self.init(ByteRegion(copying: bytes)) }
}

/// What a method works with beside the bytes.
public struct CodingContext: Sendable {
    /// The threads to work on. Results do not depend on their number.
    public var pool: ThreadPool
    /// Opens language models.
    public var models: ModelLibrary
    /// What the input was made from, for methods that code differences: for example an earlier checkpoint's file.
    public var base: ByteRegion?
    /// Told how many more bytes of input were coded or decoded, now and then; from any thread.
    public var advance: @Sendable (Int) -> Void
    /// Where the bits went, if anyone asks.
    public var trace: CodingTrace?

    /// A context.
    public init(
        pool: ThreadPool, models: ModelLibrary = .none, base: ByteRegion? = nil, trace: CodingTrace? = nil,
        advance: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.pool = pool
        self.models = models
        self.base = base
        self.trace = trace
        self.advance = advance
    }
}
