import PithCore
import PithFormats

extension TrainingSettings {
    static var fields: [SettingField<TrainingSettings>] {
        let sizes = 1...1 << 24
        let least = Double.leastNormalMagnitude
        return [
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
            .init(name: "recompute", place: .flag(\.recompute), decidesResult: false),
            .init(name: "outputType", place: .type(\.outputType), decidesResult: false),
        ]
    }

    /// These settings with `name=value` in the place of some of them.
    public func overridden(by overrides: [String], contextLength: Int) throws(PithError) -> TrainingSettings {
        let object = try settingKeys([:], overrides: overrides, known: Self.fields.map(\.name))
        var result = self
        for field in Self.fields { try field.read(JSONReader(.object(object)), into: &result) }
        if object["warmupSteps"] == nil { result.warmupSteps = min(warmupSteps, result.steps / 10) }
        try result.validate(contextLength: contextLength)
        return result
    }

    /// All settings as a file that gives them back.
    public var json: JSONObject {
        var object = JSONObject()
        for field in Self.fields { object[field.name] = field.value(of: self) }
        return object
    }

    /// What decides the result, by name.
    var decisive: JSONObject {
        var object = JSONObject()
        for field in Self.fields where field.decidesResult { object[field.name] = field.value(of: self) }
        return object
    }

    /// Says which value is out of range or does not fit another.
    func validate(contextLength: Int) throws(PithError) {
        for field in Self.fields { try field.check(self) }
        try require("sequenceLength", sequenceLength, in: 1...contextLength)
        try require("warmupSteps", warmupSteps, in: 0...steps)
    }
}
