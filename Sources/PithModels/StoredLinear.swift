import PithCore
import PithFormats
import PithTensor

/// A linear operator that can be written to a file and read back: a stored layout.
///
/// On disk a weight `model.layers.0.mlp.up_proj.weight` in such a layout is some tensors named
/// `model.layers.0.mlp.up_proj.weight.<part>` and an entry in the manifest that names the layout.
public protocol StoredLinear: LinearOperator {
    /// The layout's name in manifests, for good.
    static var layout: String { get }

    /// The tensors that W is stored in, by part name, and what is needed besides to read them.
    var stored: StoredParts { get }

    /// Takes the parts up again; `shape` is [outputCount, inputCount].
    ///
    /// Parts come from files: every size and value must be checked, and errors say which part is wrong.
    init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError)

    /// Looks for damage in what opening leaves unread; throws if there is any. Where stored tensors have checksums
    /// there is no need to.
    func verify(pool: ThreadPool) throws(PithError)
}

extension StoredLinear {
    /// The bits of what it is stored in.
    public var storedBits: Int { stored.storedBits }

    /// Most layouts are checked as a whole when they are opened; then there are the components.
    public func verify(pool: ThreadPool) throws(PithError) {
        for (name, component) in stored.components.sorted(by: { $0.key < $1.key }) {
            do { try component.verify(pool: pool) } catch { throw error.within("component '\(name)'") }
        }
    }
}

/// A stored matrix in pieces: named tensors, small whole-number parameters, and matrices that it is composed of.
public struct StoredParts: Sendable {
    /// Tensors by part name.
    public var tensors: [String: StoredTensor]
    /// Whole numbers by name, for example `bits` and `groupSize`.
    public var parameters: [String: Int]
    /// Component matrices by name, for sums and products, in their own layouts.
    public var components: [String: any StoredLinear]

    /// Creates parts.
    public init(
        tensors: [String: StoredTensor] = [:], parameters: [String: Int] = [:],
        components: [String: any StoredLinear] = [:]
    ) {
        self.tensors = tensors
        self.parameters = parameters
        self.components = components
    }

    /// A tensor part of a known type and shape.
    public func tensor(_ name: String, _ type: ElementType, _ shape: [Int]) throws(PithError) -> StoredTensor {
        guard let tensor = tensors[name] else { throw .data("part '\(name)' is missing") }
        guard tensor.type == type, tensor.shape == shape else {
            throw .data(
                "part '\(name)' is \(tensor.type.rawValue) \(tensor.shape)",
                remedy: "it should be \(type.rawValue) \(shape)")
        }
        return tensor
    }

    /// A parameter in a known range.
    public func parameter(_ name: String, in range: ClosedRange<Int>) throws(PithError) -> Int {
        guard let value = parameters[name] else { throw .data("parameter '\(name)' is missing") }
        guard range.contains(value) else {
            throw .data("parameter '\(name)' is \(value)", remedy: "it should be in \(range)")
        }
        return value
    }

    /// A parameter that is 1 or, as where it is missing, 0.
    public func flag(_ name: String) throws(PithError) -> Bool {
        parameters[name] == nil ? false : try parameter(name, in: 0...1) == 1
    }

    /// A component matrix.
    public func component(_ name: String) throws(PithError) -> any StoredLinear {
        guard let component = components[name] else { throw .data("component '\(name)' is missing") }
        return component
    }

    /// The bits of all tensors, those of components included.
    public var storedBits: Int {
        tensors.values.reduce(0) { $0 + $1.byteCount * 8 } + components.values.reduce(0) { $0 + $1.storedBits }
    }
}

/// The layouts that a reader knows.
public struct LayoutCatalogue: Sendable {
    private var types: [String: any StoredLinear.Type] = [:]
    /// The threads that decode what is not multiplied as it is stored.
    public var pool = ThreadPool(threads: 1)

    /// How other programs store matrices.
    private let formats: [any CheckpointFormat.Type]

    /// A catalogue of some layouts, and of the formats of other programs.
    public init(_ types: [any StoredLinear.Type], formats: [any CheckpointFormat.Type] = []) {
        self.formats = formats
        for type in types { self.types[type.layout] = type }
    }

    /// The format of a folder whose `config.json` says that its weights are quantised.
    func checkpointFormat(_ configuration: JSONReader) throws(PithError) -> any CheckpointFormat {
        for format in formats { if let format = try format.init(configuration) { return format } }
        let keys = try configuration.optional("quantization_config", "quantization") ?? configuration
        throw keys.failure(
            "weights that another program has quantised in this way are not supported",
            remedy: "known are \(formats.map { $0.name }.joined(separator: ", "))")
    }

    /// The names, sorted.
    public var names: [String] { types.keys.sorted() }

    /// Opens stored parts of the layout `name`.
    public func open(
        _ name: String, _ parts: StoredParts, shape: [Int]
    ) throws(PithError) -> any StoredLinear {
        guard let type = types[name] else {
            throw .data("unknown layout '\(name)'", remedy: "this Pith knows \(names.joined(separator: ", "))")
        }
        guard shape.count == 2, shape[0] >= 0, shape[1] >= 0 else { throw .data("the shape \(shape) is no matrix") }
        return try type.init(parts, shape: shape, layouts: self)
    }
}
