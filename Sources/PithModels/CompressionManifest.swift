import PithCore
import PithFormats
import PithTensor

/// What was done to a model: the file `pith.json` of a compressed folder.
public struct CompressionManifest: Sendable {
    /// The file's name in the folder.
    public static let fileName = "pith.json"
    package static let version = 1

    /// The methods, as a spec.
    public var spec: String
    /// What was done to the token embeddings, and to the head if it is not tied; nil if they were left alone.
    public var embeddings: String?
    /// What was done to which parameters in the place of that, as a recipe; nil if there was none.
    public var recipe: String?
    /// The seed of all random choices.
    public var seed: UInt64
    /// SHA-256 of the weight files that the model was made from, by file name.
    public var source: [String: String]
    /// What the model was calibrated on; nil if nothing was needed.
    public var calibration: CalibrationRecord?
    /// How each compressed weight is stored, by weight name.
    public var weights: [String: StoredForm]
    /// What the bytes of all tensors should be; nil in folders of early versions.
    public var checksums: StoredChecksums?

    /// What the input statistics came from.
    public struct CalibrationRecord: Equatable, Sendable {
        /// The name of the text.
        public var name: String
        /// The SHA-256 of the text's bytes.
        public var sha256: String
        /// The tokens that were read.
        public var tokenCount: Int
        /// The tokens of each sequence.
        public var sequenceLength: Int
        /// Fingerprints of what was read; nil in manifests of early versions.
        public var sketch: TextSketch?

        /// Creates a record.
        public init(name: String, sha256: String, tokenCount: Int, sequenceLength: Int, sketch: TextSketch? = nil) {
            self.name = name
            self.sha256 = sha256
            self.tokenCount = tokenCount
            self.sequenceLength = sequenceLength
            self.sketch = sketch
        }

        /// The share of `text` that was calibrated on, as far as is known.
        public func share(of text: String) -> Double {
            if let sketch { return sketch.share(of: text) }
            return Array(text.utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) } == sha256 ? 1 : 0
        }
    }

    /// The layout of a stored matrix, without its tensors.
    public struct StoredForm: Sendable {
        /// The layout's name.
        public var layout: String
        /// [outputs, inputs].
        public var shape: [Int]
        /// The layout's parameters.
        public var parameters: [String: Int]
        /// The forms of its components.
        public var components: [String: StoredForm]
        /// The names of its tensors behind the weight's name.
        public var parts: [String]

        /// The form of a stored matrix.
        public init(_ matrix: any StoredLinear) {
            let stored = matrix.stored
            layout = type(of: matrix).layout
            shape = [matrix.outputCount, matrix.inputCount]
            parameters = stored.parameters
            components = stored.components.mapValues { StoredForm($0) }
            parts = stored.tensors.keys.sorted()
        }
    }

    /// Creates a manifest.
    public init(
        spec: String, embeddings: String? = nil, recipe: String? = nil, seed: UInt64, source: [String: String],
        calibration: CalibrationRecord?,
        weights: [String: StoredForm], checksums: StoredChecksums? = nil
    ) {
        self.spec = spec
        self.embeddings = embeddings
        self.recipe = recipe
        self.seed = seed
        self.source = source
        self.calibration = calibration
        self.weights = weights
        self.checksums = checksums
    }
}

// MARK: JSON

/// An object of values by name, names sorted.
private func sortedObject<Value>(_ values: [String: Value], _ json: (Value) -> JSONValue) -> JSONValue {
    var object = JSONObject()
    for (name, value) in values.sorted(by: { $0.key < $1.key }) { object[name] = json(value) }
    return .object(object)
}

extension CompressionManifest {
    /// The manifest as it is written.
    public var json: JSONValue {
        var object = JSONObject()
        object["format"] = "pith"
        object["version"] = .integer(Self.version)
        object["spec"] = .string(spec)
        object["embeddings"] = embeddings.map { .string($0) }
        object["recipe"] = recipe.map { .string($0) }
        object["seed"] = .string("\(seed)")  // a number of 64 bits would lose digits in other readers
        object["source"] = sortedObject(source) { .string($0) }
        object["calibration"] = calibration.map(\.json)
        object["weights"] = sortedObject(weights, \.json)
        object["checksums"] = checksums.map { sortedObject($0.values) { .string($0.hexadecimal) } }
        object[Self.ownChecksum] = .string(Self.checksum(of: object))
        return .object(object)
    }

    /// The member that tells whether the others are as they were written.
    private static let ownChecksum = "checksum"

    private static func checksum(of members: JSONObject) -> String {
        XXHash64.hash(JSONValue.object(members).compactBytes()).hexadecimal
    }

    /// Manifests of early versions have no checksum.
    private static func verify(_ json: JSONValue) throws(PithError) {
        guard case .object(var members) = json, let stored = members[ownChecksum] else { return }
        members[ownChecksum] = nil
        guard stored == .string(checksum(of: members)) else {
            throw .data("is damaged: it does not say what was written", remedy: "copy the folder again")
        }
    }

    /// How the compressed weights are stored, but for what they are.
    public var formsDescription: String { sortedObject(weights, \.json).compactText }

    /// Reads a manifest; every member is checked.
    public init(json: JSONValue) throws(PithError) {
        try Self.verify(json)
        let root = JSONReader(json)
        guard try root.member("format").text() == "pith" else { throw .data("this is no manifest of Pith's") }
        let version = try root.member("version").integer()
        guard version == Self.version else {
            throw .data("the manifest has version \(version)", remedy: "this Pith reads version \(Self.version)")
        }
        spec = try root.member("spec").text()
        embeddings = try root.optional("embeddings")?.text()
        recipe = try root.optional("recipe")?.text()
        guard let seed = UInt64(try root.member("seed").text()) else { throw .data("the seed is no number") }
        self.seed = seed
        source = [:]
        for (name, digest) in try root.member("source").members() { source[name] = try digest.text() }
        calibration = try root.optional("calibration").map { (record) throws(PithError) in
            try CalibrationRecord(record)
        }
        weights = [:]
        for (name, form) in try root.member("weights").members() { weights[name] = try StoredForm(form, depth: 0) }
        checksums = try root.optional("checksums").map { (list) throws(PithError) in
            var values: [String: UInt64] = [:]
            for (name, digits) in try list.members() {
                guard let value = UInt64(hexadecimal: try digits.text()) else {
                    throw digits.failure("no checksum", remedy: "sixteen hexadecimal digits are expected")
                }
                values[name] = value
            }
            return StoredChecksums(values)
        }
    }
}

extension CompressionManifest.CalibrationRecord {
    fileprivate var json: JSONValue {
        var object = JSONObject()
        object["name"] = .string(name)
        object["sha256"] = .string(sha256)
        object["tokens"] = .integer(tokenCount)
        object["sequenceLength"] = .integer(sequenceLength)
        object["sketch"] = sketch.map { .string($0.text) }
        return .object(object)
    }

    fileprivate init(_ record: JSONReader) throws(PithError) {
        name = try record.member("name").text()
        sha256 = try record.member("sha256").text()
        tokenCount = try record.member("tokens").integer()
        sequenceLength = try record.member("sequenceLength").integer()
        sketch = try record.optional("sketch").map { (digits) throws(PithError) in
            guard let sketch = TextSketch(text: try digits.text()) else {
                throw digits.failure("no sketch of a text", remedy: "eight hexadecimal digits for each fingerprint")
            }
            return sketch
        }
    }
}

extension CompressionManifest.StoredForm {
    /// Sums of sums are as deep as compositions get.
    private static let maximumDepth = 8
    private static let maximumExtent = 1 << 24

    var json: JSONValue {
        var object = JSONObject()
        object["layout"] = .string(layout)
        object["shape"] = .array(shape.map { .integer($0) })
        if !parts.isEmpty { object["parts"] = .array(parts.map { .string($0) }) }
        if !parameters.isEmpty { object["parameters"] = sortedObject(parameters) { .integer($0) } }
        if !components.isEmpty { object["components"] = sortedObject(components, \.json) }
        return .object(object)
    }

    init(_ json: JSONReader, depth: Int) throws(PithError) {
        guard depth < Self.maximumDepth else { throw json.failure("components lie deeper than \(Self.maximumDepth)") }
        layout = try json.member("layout").text()
        let extents = try json.member("shape").array()
        guard extents.count == 2 else { throw json.failure("the shape is no matrix's") }
        shape = []
        for extent in extents { shape.append(try extent.integer(in: 0...Self.maximumExtent)) }
        parts = []
        for part in try json.optional("parts")?.array() ?? [] { parts.append(try part.text()) }
        parameters = [:]
        for (name, value) in try json.optional("parameters")?.members() ?? [] { parameters[name] = try value.integer() }
        components = [:]
        for (name, form) in try json.optional("components")?.members() ?? [] {
            components[name] = try Self(form, depth: depth + 1)
        }
    }

    /// Opens the matrix whose tensors are named `prefix` and a part's name; `tensor` gives them.
    package func open(
        _ prefix: String, layouts: LayoutCatalogue, tensor: (String) throws(PithError) -> StoredTensor
    ) throws(PithError) -> any StoredLinear {
        var stored = StoredParts(parameters: parameters)
        for part in parts { stored.tensors[part] = try tensor("\(prefix).\(part)") }
        for (name, form) in components {
            stored.components[name] = try form.open("\(prefix).\(name)", layouts: layouts, tensor: tensor)
        }
        do { return try layouts.open(layout, stored, shape: shape) } catch { throw error.within("weight \(prefix)") }
    }
}

extension StoredLinear {
    /// All tensors of this matrix under names that begin with `prefix`, as they are written.
    public func tensors(named prefix: String) -> [(name: String, tensor: StoredTensor)] {
        let stored = stored
        let own = stored.tensors.sorted { $0.key < $1.key }.map { (name: "\(prefix).\($0.key)", tensor: $0.value) }
        return stored.components.sorted { $0.key < $1.key }.reduce(own) { list, component in
            list + component.value.tensors(named: "\(prefix).\(component.key)")
        }
    }
}
