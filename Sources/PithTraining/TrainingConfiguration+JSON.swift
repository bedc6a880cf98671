import PithCore
import PithFormats
import PithModels
import PithTensor

extension ModelConfiguration {
    fileprivate static var fields: [SettingField<ModelConfiguration>] {
        let sizes = 1...1 << 24
        let least = Double.leastNormalMagnitude
        return [
            .init(name: "vocabularySize", place: .integer(\.vocabularySize, sizes)),
            .init(name: "hiddenSize", place: .integer(\.hiddenSize, sizes)),
            .init(name: "layerCount", place: .integer(\.layerCount, 1...4096)),
            .init(name: "headCount", place: .integer(\.headCount, 1...1 << 16)),
            .init(name: "keyValueHeadCount", place: .integer(\.keyValueHeadCount, 1...1 << 16)),
            .init(name: "headDimension", place: .integer(\.headDimension, 2...1 << 16)),
            .init(name: "intermediateSize", place: .integer(\.intermediateSize, sizes)),
            .init(name: "contextLength", place: .integer(\.contextLength, sizes)),
            .init(name: "ropeTheta", place: .real(\.ropeTheta, 1...1e12)),
            .init(name: "normEpsilon", place: .real(\.normEpsilon, least...1)),
            .init(name: "tiesEmbeddings", place: .flag(\.tiesEmbeddings)),
        ]
    }

    /// The sizes, by name.
    var trainingSizes: JSONObject {
        var object = JSONObject()
        for field in Self.fields { object[field.name] = field.value(of: self) }
        return object
    }
}

extension TrainingConfiguration {
    /// What may be set as `name=value`.
    public static var names: [String] { ModelConfiguration.fields.map(\.name) + TrainingSettings.fields.map(\.name) }

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
        var object = try settingKeys(json, overrides: overrides, known: Self.names)
        if let vocabularySize { object["vocabularySize"] = .integer(vocabularySize) }
        let reader = JSONReader(.object(object))
        let sizes = 1...1 << 24
        let heads = try reader.member("headCount").integer(in: 1...1 << 16)
        let hiddenSize = try reader.member("hiddenSize").integer(in: sizes)
        guard try reader.optional("headDimension") != nil || hiddenSize % heads == 0 else {
            throw .data(
                "is \(hiddenSize), which \(heads) heads do not divide", at: "key hiddenSize",
                remedy: "give headDimension if it is meant so")
        }
        try self.init(
            model: ModelConfiguration(
                hiddenSize: hiddenSize,
                layerCount: reader.member("layerCount").integer(in: 1...4096), headCount: heads,
                keyValueHeadCount: reader.optional("keyValueHeadCount")?.integer(in: 1...heads),
                headDimension: reader.optional("headDimension")?.integer(in: 2...1 << 16),
                intermediateSize: reader.member("intermediateSize").integer(in: sizes),
                vocabularySize: reader.member("vocabularySize").integer(in: sizes),
                contextLength: reader.member("contextLength").integer(in: sizes), tiesEmbeddings: true))
        for field in ModelConfiguration.fields { try field.read(reader, into: &model) }
        for field in TrainingSettings.fields { try field.read(reader, into: &settings) }
        try validate()
    }

    /// The configuration as a file that gives it back.
    public var json: JSONValue {
        var object = model.trainingSizes
        for (key, value) in settings.json.members { object[key] = value }
        return .object(object)
    }

    /// Says which value is out of range or does not fit another.
    func validate() throws(PithError) {
        for field in ModelConfiguration.fields { try field.check(model) }
        _ = try Llama(JSONReader(Llama.document(model)))
        try settings.validate(contextLength: model.contextLength)
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
}
