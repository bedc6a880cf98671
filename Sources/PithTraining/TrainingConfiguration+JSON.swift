import PithCore
import PithFormats
import PithTensor

/// One key of a configuration file: where its value lies and what is permitted.
struct TrainingField {
    enum Place {
        case integer(WritableKeyPath<TrainingConfiguration, Int>, ClosedRange<Int>)
        case real(WritableKeyPath<TrainingConfiguration, Double>, ClosedRange<Double>)
        case flag(WritableKeyPath<TrainingConfiguration, Bool>)
    }

    let name: String
    let place: Place
    /// Whether a run must go on with the value that it began with.
    var decidesResult = true

    static var all: [TrainingField] {
        let sizes = 1...1 << 24
        let least = Double.leastNormalMagnitude
        return [
            .init(name: "vocabularySize", place: .integer(\.model.vocabularySize, sizes)),
            .init(name: "hiddenSize", place: .integer(\.model.hiddenSize, sizes)),
            .init(name: "layerCount", place: .integer(\.model.layerCount, 1...4096)),
            .init(name: "headCount", place: .integer(\.model.headCount, 1...1 << 16)),
            .init(name: "keyValueHeadCount", place: .integer(\.model.keyValueHeadCount, 1...1 << 16)),
            .init(name: "headSize", place: .integer(\.model.headDimension, 2...1 << 16)),
            .init(name: "intermediateSize", place: .integer(\.model.intermediateSize, sizes)),
            .init(name: "contextLength", place: .integer(\.model.contextLength, sizes)),
            .init(name: "ropeTheta", place: .real(\.model.ropeTheta, 1...1e12)),
            .init(name: "normEpsilon", place: .real(\.model.normEpsilon, least...1)),
            .init(name: "tiesEmbeddings", place: .flag(\.model.tiesEmbeddings)),
            .init(name: "sequenceLength", place: .integer(\.sequenceLength, sizes)),
            .init(name: "batchSize", place: .integer(\.batchSize, 1...1 << 16)),
            .init(name: "accumulation", place: .integer(\.accumulation, 1...1 << 16)),
            .init(name: "steps", place: .integer(\.steps, sizes)),
            .init(name: "learningRate", place: .real(\.learningRate, least...10)),
            .init(name: "warmupSteps", place: .integer(\.warmupSteps, 0...1 << 24)),
            .init(name: "finalFraction", place: .real(\.finalFraction, 0...1)),
            .init(name: "weightDecay", place: .real(\.weightDecay, 0...10)),
            .init(name: "beta1", place: .real(\.beta1, 0...0.99999)),
            .init(name: "beta2", place: .real(\.beta2, 0...0.99999)),
            .init(name: "gradientClip", place: .real(\.gradientClip, least...1e9)),
            .init(name: "seed", place: .integer(\.seed, 0...Int.max)),
            .init(name: "gradientLanes", place: .integer(\.gradientLanes, 1...64)),
            .init(
                name: "checkpointInterval", place: .integer(\.checkpointInterval, 1...1 << 24), decidesResult: false),
        ]
    }
}

extension TrainingConfiguration {
    /// The key of the element type that the model is written in.
    private static let typeKey = "outputType"
    private static let types: [(name: String, type: ElementType)] = [
        ("bfloat16", .bfloat16), ("float16", .float16), ("float32", .float32),
    ]

    /// Reads a configuration file; `overrides` are `name=value` and come after it.
    public init(
        contentsOf path: String, overrides: [String] = [], vocabularySize: Int? = nil
    ) throws(PithError) {
        let document = try JSONValue(contentsOf: path)
        do { try self.init(json: document, overrides: overrides, vocabularySize: vocabularySize) } catch {
            throw error.within(path)
        }
    }

    /// Reads a configuration. The sizes of the model must be there, the rest has defaults; what is unknown is refused.
    /// A given `vocabularySize`, a tokenizer's, comes before the file's.
    public init(
        json: JSONValue, overrides: [String] = [], vocabularySize: Int? = nil
    ) throws(PithError) {
        var object = try JSONReader(json).object()
        for text in overrides { try Self.apply(text, to: &object) }
        if let vocabularySize { object["vocabularySize"] = .integer(vocabularySize) }
        let reader = JSONReader(.object(object))
        try Self.refuseUnknown(object)
        let sizes = 1...1 << 24
        let heads = try reader.member("headCount").integer(in: 1...1 << 16)
        let hiddenSize = try reader.member("hiddenSize").integer(in: sizes)
        guard try reader.optional("headSize") != nil || hiddenSize % heads == 0 else {
            throw .data(
                "is \(hiddenSize), which \(heads) heads do not divide", at: "key hiddenSize",
                remedy: "give headSize if it is meant so")
        }
        try self.init(
            model: ModelConfiguration(
                hiddenSize: hiddenSize,
                layerCount: reader.member("layerCount").integer(in: 1...4096), headCount: heads,
                keyValueHeadCount: reader.optional("keyValueHeadCount")?.integer(in: 1...heads),
                headDimension: reader.optional("headSize")?.integer(in: 2...1 << 16),
                intermediateSize: reader.member("intermediateSize").integer(in: sizes),
                vocabularySize: reader.member("vocabularySize").integer(in: sizes),
                contextLength: reader.member("contextLength").integer(in: sizes), tiesEmbeddings: true,
                elementType: Self.elementType(reader)))
        for field in TrainingField.all { try read(field, reader) }
        try validate()
    }

    private mutating func read(_ field: TrainingField, _ reader: JSONReader) throws(PithError) {
        guard let value = try reader.optional(field.name) else { return }
        switch field.place {
        case .integer(let path, let range): self[keyPath: path] = try value.integer(in: range)
        case .real(let path, let range): self[keyPath: path] = try value.real(in: range)
        case .flag(let path): self[keyPath: path] = try value.flag()
        }
    }

    private static func elementType(_ reader: JSONReader) throws(PithError) -> ElementType {
        guard let value = try reader.optional(typeKey) else { return .bfloat16 }
        let name = try value.text()
        guard let type = types.first(where: { $0.name == name })?.type else {
            throw value.failure("'\(name)' is no type to write", remedy: types.map(\.name).joined(separator: ", "))
        }
        return type
    }

    /// `name=value`; the value is JSON, or a bare word.
    private static func apply(_ text: String, to object: inout JSONObject) throws(PithError) {
        let sides = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard sides.count == 2 else {
            throw .usage("'\(text)' is not name=value", remedy: "for example steps=2000")
        }
        do { object[sides[0]] = try JSONValue(parsing: sides[1]) } catch {
            guard sides[1].first?.isLetter == true else { throw error.within("the value of \(sides[0])") }
            object[sides[0]] = .string(sides[1])
        }
    }

    private static func refuseUnknown(_ object: JSONObject) throws(PithError) {
        let known = TrainingField.all.map(\.name) + [typeKey]
        guard let wrong = object.keys.first(where: { !known.contains($0) }) else { return }
        throw .data("is unknown", at: "key \(wrong)", remedy: "known are \(known.joined(separator: ", "))")
    }

    /// The configuration as a file that gives it back.
    public var json: JSONValue {
        var object = JSONObject()
        for field in TrainingField.all { object[field.name] = value(of: field) }
        object[Self.typeKey] = Self.types.first { $0.type == model.elementType }.map { .string($0.name) }
        return .object(object)
    }

    private func value(of field: TrainingField) -> JSONValue {
        switch field.place {
        case .integer(let path, _): .integer(self[keyPath: path])
        case .real(let path, _): .real(self[keyPath: path])
        case .flag(let path): .bool(self[keyPath: path])
        }
    }

    /// What decides the result and is not as in `other`: `steps is 10, not 20`.
    func differences(from other: TrainingConfiguration) -> [String] {
        TrainingField.all.filter(\.decidesResult).compactMap { field in
            let (mine, theirs) = (value(of: field), other.value(of: field))
            return mine == theirs ? nil : "\(field.name) is \(mine.compactText), not \(theirs.compactText)"
        }
    }

    /// Says which value is out of range or does not fit another.
    func validate() throws(PithError) {
        for field in TrainingField.all {
            switch field.place {
            case .integer(let path, let range): try require(field.name, self[keyPath: path], in: range)
            case .real(let path, let range): try require(field.name, self[keyPath: path], in: range)
            case .flag: break
            }
        }
        _ = try ModelConfiguration(json: model.json)
        try require("sequenceLength", sequenceLength, in: 1...model.contextLength)
        try require("warmupSteps", warmupSteps, in: 0...steps)
        guard model.ropeScaling == .none else {
            throw .usage("scaled rotary angles are not trained", at: "training configuration")
        }
        // Counted in floating point, for what it shall prevent is an overflow.
        let heads = model.headCount + model.keyValueHeadCount
        let layer = Double(model.hiddenSize) * Double(heads * model.headDimension + 2 * model.intermediateSize)
        let table = Double(model.hiddenSize) * Double(model.vocabularySize)
        guard Double(model.layerCount) * layer + table < 1e10 else {
            throw .usage("the model has more than 10 thousand million weights", at: "training configuration")
        }
    }

    private func require<Value: Comparable>(
        _ name: String, _ value: Value, in range: ClosedRange<Value>
    ) throws(PithError) {
        guard range.contains(value) else {
            throw .usage(
                "\(name) is \(value)", at: "training configuration",
                remedy: "it should be in \(range.lowerBound)…\(range.upperBound)")
        }
    }
}
