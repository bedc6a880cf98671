import PithCore
import PithFormats
import PithModels
import Testing

@Suite struct ModelConfigurationTests {
    static let base: JSONValue = [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 172,
        "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 512,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu",
    ]

    static func changed(_ key: String, _ value: JSONValue?) -> JSONValue {
        guard case .object(var object) = base else { return base }
        object[key] = value
        return .object(object)
    }

    @Test func readsTheUsualKeys() throws {
        let configuration = try ModelConfiguration(JSONReader(Self.base))
        #expect(configuration.headDimension == 8)
        #expect(configuration.keyValueHeadCount == 4)
        #expect(configuration.eosTokens == [2])
        #expect(!configuration.tiesEmbeddings)
        #expect(configuration.ropeScaling == .none)
    }

    @Test func readsWhatItWrites() throws {
        let configuration = try ModelConfiguration(
            hiddenSize: 48, layerCount: 3, headCount: 6, keyValueHeadCount: 2, headDimension: 16, intermediateSize: 100,
            vocabularySize: 300, contextLength: 1024, normEpsilon: 1e-6, ropeTheta: 500000,
            ropeScaling: .llama3(
                factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 256),
            tiesEmbeddings: true, bosToken: 0, eosTokens: [1, 2], elementType: .bfloat16)
        #expect(
            try ModelConfiguration(JSONReader(JSONValue(parsing: Llama.document(configuration).prettyText)))
                == configuration)
    }

    @Test func readsBothGenerationsOfRotation() throws {
        var old = try ModelConfiguration(JSONReader(Self.changed("rope_scaling", ["type": "linear", "factor": 4.0])))
        var new = try ModelConfiguration(
            JSONReader(Self.changed("rope_parameters", ["rope_type": "linear", "factor": 4.0, "rope_theta": 500.0])))
        #expect(old.ropeScaling == .linear(factor: 4))
        #expect(new.ropeTheta == 500)
        (old.ropeTheta, new.ropeTheta) = (1, 1)
        #expect(old == new)
    }

    /// Where both generations stand in a file.
    @Test func theOlderGenerationOfRotationCounts() throws {
        var object = try JSONReader(Self.base).object()
        object["rope_parameters"] = ["rope_type": "llama3", "rope_theta": 500.0]
        object["rope_scaling"] = ["type": "linear", "factor": 2.0]
        var configuration = try ModelConfiguration(JSONReader(.object(object)))
        #expect(configuration.ropeScaling == .linear(factor: 2) && configuration.ropeTheta == 10000)
        object["rope_scaling"] = ["type": "linear", "factor": 2.0, "rope_theta": 7.0]
        #expect(try ModelConfiguration(JSONReader(.object(object))).ropeTheta == 7)
        // One that says nothing does not count.
        object["rope_parameters"] = ["rope_type": "default", "rope_theta": 500.0]
        for empty in [JSONObject(), nil] as [JSONObject?] {
            object["rope_scaling"] = empty.map { .object($0) } ?? .null
            configuration = try ModelConfiguration(JSONReader(.object(object)))
            #expect(configuration.ropeScaling == .none && configuration.ropeTheta == 500)
        }
    }

    @Test func refusesSizesThatNoModelHasTogether() throws {
        var object = try JSONReader(Self.base).object()
        for key in ["hidden_size", "intermediate_size", "vocab_size"] { object[key] = .integer(1 << 24) }
        object["num_hidden_layers"] = 4096
        #expect(throws: PithError.self) { try ModelConfiguration(JSONReader(.object(object))) }
    }

    @Test func defaultsWhatMayBeMissing() throws {
        #expect(try ModelConfiguration(JSONReader(Self.changed("num_key_value_heads", nil))).keyValueHeadCount == 8)
        #expect(try ModelConfiguration(JSONReader(Self.changed("head_dim", 32))).headDimension == 32)
        #expect(try ModelConfiguration(JSONReader(Self.changed("eos_token_id", [2, 3]))).eosTokens == [2, 3])
        #expect(try ModelConfiguration(JSONReader(Self.changed("eos_token_id", nil))).eosTokens.isEmpty)
    }

    @Test(
        arguments: [
            ("rope_scaling", ["rope_type": "proportional", "factor": 2.0]),
            ("hidden_size", 0),
            ("hidden_size", 65), ("hidden_size", "64"), ("hidden_size", .integer(.max)), ("num_hidden_layers", 100_000),
            ("num_attention_heads", -8), ("num_attention_heads", 0), ("num_key_value_heads", 3),
            ("num_key_value_heads", 16), ("head_dim", 7), ("vocab_size", 1.5), ("vocab_size", nil),
            ("intermediate_size", .integer(1 << 25)), ("rms_norm_eps", -1.0), ("rope_theta", 0.0),
            ("bos_token_id", 512),
            ("eos_token_id", [2, -1]), ("torch_dtype", "int8"), ("max_position_embeddings", 0),
        ] as [(String, JSONValue?)])
    func refuses(_ key: String, _ value: JSONValue?) {
        let error = #expect(throws: PithError.self) { try ModelConfiguration(JSONReader(Self.changed(key, value))) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(key))
    }

    static func frequencies(_ configuration: ModelConfiguration) -> [Float] {
        configuration.ropeScaling.inverseFrequencies(
            size: configuration.headDimension, theta: configuration.ropeTheta)
    }

    @Test func frequenciesFallFromOne() throws {
        let plain = Self.frequencies(try ModelConfiguration(JSONReader(Self.base)))
        #expect(plain == [1, 0.1, 0.01, 0.001])
        let linear = try ModelConfiguration(
            JSONReader(Self.changed("rope_scaling", ["type": "linear", "factor": 2.0])))
        #expect(Self.frequencies(linear) == plain.map { $0 / 2 })
    }

    @Test func agreesWithTransformers() throws {
        for row in try JSONReader(JSONValue(contentsOf: TestData.golden("configurations.json"))).array() {
            let configuration = try ModelConfiguration(JSONReader(row.member("config").value))
            let expected = try row.member("frequencies").array().map { Float(try $0.real()) }
            let frequencies = Self.frequencies(configuration)
            #expect(frequencies.count == expected.count)
            for (frequency, expected) in zip(frequencies, expected) {
                // The powers of two libraries differ in the last bit.
                #expect(abs(frequency - expected) <= 2 * expected.ulp, "\(frequency) \(expected)")
            }
        }
    }
}
