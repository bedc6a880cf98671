import PithCore
import PithFormats
import PithModels
import PithTensor
import PithWeights

/// A format that models are written in.
///
/// One format is one file and one line in `FormatCatalogue`; those of quantised folders stand in `PithWeights`, where
/// they are read as well.
public protocol ModelFormat: RegisteredMethod {
    /// What a parameter is rounded to whose floats the format does not hold as they are; nil where they stay floats.
    func form(of parameter: ParameterID, in model: ConvertedModel) throws(PithError) -> (any GridForm)?

    /// Checks that a model can be written as a whole, before anything is written.
    func prepare(_ model: ConvertedModel) throws(PithError) -> PreparedModel
}

/// A model that was found to fit a format.
public struct PreparedModel: Sendable {
    /// The matrices that are rounded anew, and to what.
    public let rounded: [ParameterID: String]
    /// About how many bytes will be written.
    public let byteCount: ByteCount
    /// Writes it to a path where there is nothing yet; `progress` is told how many tensors of how many are written.
    let write: @Sendable (_ path: String, _ progress: (Int, Int) -> Void) throws(PithError) -> Void

    init(
        rounded: [ParameterID: String] = [:], byteCount: ByteCount,
        write: @escaping @Sendable (String, (Int, Int) -> Void) throws(PithError) -> Void
    ) {
        (self.rounded, self.byteCount, self.write) = (rounded, byteCount, write)
    }
}

/// A model to be converted: its parameters are opened one by one.
public struct ConvertedModel: Sendable {
    /// Where it comes from.
    public let source: ModelSource
    /// The threads to work with.
    public let pool: ThreadPool
    let layouts: LayoutCatalogue

    /// A model at a path.
    public init(_ source: ModelSource, pool: ThreadPool) {
        (self.source, self.pool) = (source, pool)
        var layouts = WeightLayouts.catalogue
        layouts.pool = pool
        self.layouts = layouts
    }

    /// A matrix or table as it is stored; of a GGUF file the blocks themselves, their rows in the order of the parameter.
    func matrix(_ id: ParameterID) throws(PithError) -> any LinearOperator {
        do throws(PithError) {
            let spec = source.description[id]
            if case .gguf(let file) = source.weights, source.ggufType(of: id)?.form != nil {
                let (type, region) = try file.blocks(spec)
                let shape = [spec.shape[0], spec.shape[1] / type.blockLength * type.blockBytes]
                return try BlockCodes(
                    type, StoredTensor(type: .uint8, shape: shape, region: region), columns: spec.shape[1], pool: pool)
            }
            return try source.matrix(id, layouts: layouts)
        } catch { throw error.within(source.path) }
    }

    /// A matrix of floats rounded to a form, each weight to the nearest level.
    func rounded(_ matrix: any LinearOperator, to form: any GridForm) throws(PithError) -> any StoredLinear {
        try form.nearest(matrix.denseWeight(pool: pool), importance: nil, pool: pool)
    }

    /// Whether a parameter is a matrix or a table.
    func isMatrix(_ id: ParameterID) -> Bool { source.description[id].kind != .vector }

    /// A refusal that says what has no room and what would do.
    func refusal(_ id: ParameterID, _ matrix: any LinearOperator, _ format: String, remedy: String) -> PithError {
        .usage(
            "is stored as \(Self.name(of: matrix)), which \(format) has no place for",
            at: "weight \(source.description[id].name)", remedy: remedy)
    }

    /// What people call a stored form.
    static func name(of matrix: any LinearOperator) -> String {
        switch matrix {
        case let matrix as BlockCodes: return "blocks of \(matrix.type.name)"
        case let matrix as DenseOperator: return matrix.weight.type.rawValue
        default:
            if let codes = AffineCodes(matrix) {
                return "codes of \(codes.bits) bits in groups of \(codes.groupSize)"
            }
            return (matrix as? any StoredLinear).map { "'\(type(of: $0).layout)'" } ?? "something else"
        }
    }
}

/// All formats that models are written in.
public enum FormatCatalogue {
    /// Those with a file of their own in this module.
    private static let own: [any ModelFormat.Type] = [GGUFFormat.self, HuggingFaceFormat.self, PithFormat.self]

    /// The plane.
    public static let plane = Plane(
        name: "formats", use: "pith convert --to, pith compress --format", methods: own + CheckpointCatalogue.writers)

    /// Reads `gguf`, `gguf:Q4_0`, `gptq:bits=4,group=128`: the first option needs no name.
    public static func format(_ text: String) throws(PithError) -> any ModelFormat {
        let stage = try Spec(parsing: named(text)).onlyStage(example: "gguf:Q8_0")
        let (index, options) = try stage.resolve(among: plane.entries)
        if index < own.count { return try own[index].init(options) }
        return CheckpointFolder(try CheckpointCatalogue.writers[index - own.count].init(options))
    }

    /// The same text with the name of the first option put in where it was left out.
    private static func named(_ text: String) -> String {
        let sides = text.split(separator: ":", maxSplits: 1)
        guard sides.count == 2, let value = sides[1].split(separator: ",").first, !value.contains("="),
            let option = plane.entries.first(where: { $0.identifier == sides[0] })?.options.first
        else { return text }
        return "\(sides[0]):\(option.name)=\(sides[1])"
    }

    /// The format that a path asks for: a GGUF file by its name, a folder of Hugging Face's otherwise.
    public static func format(ofPath path: String) throws(PithError) -> any ModelFormat {
        try format(path.lowercased().hasSuffix(GGUFFile.fileExtension) ? "gguf" : "hf")
    }
}

extension TargetFormat {
    /// What a format asks for, for a model that is compressed.
    public init(name: String, of format: any ModelFormat, for model: ConvertedModel) {
        self.init(name: name) { (id) throws(PithError) in try format.form(of: id, in: model) }
    }
}
