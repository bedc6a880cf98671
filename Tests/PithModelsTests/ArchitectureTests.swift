import PithCore
import PithFormats
import PithModels
import PithTestSupport
import Testing

@Suite("Architectures")
struct ArchitectureTests {
    private static let llama: JSONValue = [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 172,
        "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 512,
        "max_position_embeddings": 32768,
    ]

    private static func open(_ changes: [(String, JSONValue?)]) throws -> any Architecture {
        guard case .object(var object) = llama else { throw PithError.fault("no object") }
        for (key, value) in changes { object[key] = value }
        return try Architectures.open(JSONReader(.object(object)))
    }

    private static func windows(_ changes: [(String, JSONValue?)]) throws -> [Int?] {
        try open(changes).describe().caches.map(\.window)
    }

    /// What the reference implementation stores is what the description names, no more and no less.
    @Test(arguments: GoldenModels.names) func parametersAreThoseOfTheReference(name: String) throws {
        let folder = GoldenModels.path(name)
        let archive = try TensorArchive(folder: folder)
        let description = try Architectures.open(folder: folder).describe()
        #expect(description.parameters.map(\.name).sorted() == archive.names)
        for spec in description.parameters {
            #expect(try archive.tensor(spec.name).shape == spec.folderShape, "\(spec.name)")
        }
        let places = description.parameters.compactMap { spec in
            spec.ggufName.map { "\($0) \(spec.ggufSlice.map(String.init) ?? "")" }
        }
        // All have a place of their own in GGUF files, or none has any.
        #expect(Set(places).count == (places.isEmpty ? 0 : description.parameters.count))
    }

    @Test func weightsAreCounted() throws {
        // Embedding and head, attention matrices, three feed-forward matrices, norms.
        let expected = 2 * 512 * 64 + 2 * (3 * 64 * 64 + 3 * 64 * 172 + 2 * 64) + 64
        #expect(try Self.open([]).describe().weightCount == expected)
    }

    @Test func aWindowThatIsLeftOutIsTheFamilysOwn() throws {
        #expect(try Self.windows([]) == [nil, nil])
        let mistral: [(String, JSONValue?)] = [("model_type", "mistral"), ("architectures", nil)]
        #expect(try Self.windows(mistral) == [4096, 4096])
        #expect(try Self.windows(mistral + [("sliding_window", .null)]) == [nil, nil])
        #expect(try Self.windows(mistral + [("sliding_window", 100)]) == [100, 100])
        #expect(try Self.open(mistral).configuration.contextLength == 32768)
        let gemma: [(String, JSONValue?)] = [("model_type", "gemma3_text"), ("architectures", nil), ("head_dim", 8)]
        #expect(try Self.windows(gemma + [("sliding_window_pattern", 2)]) == [4096, nil])
    }

    @Test(
        arguments: [
            ("model_type", "nothing"), ("architectures", ["LlamaForSequenceClassification"]),
            ("hidden_act", "quick_gelu"),
            ("partial_rotary_factor", 0.5), ("rope_parameters", ["partial_rotary_factor": 0.5]),
            ("hidden_size", 0),
        ] as [(String, JSONValue?)])
    func refuses(_ key: String, _ value: JSONValue?) {
        let error = #expect(throws: PithError.self) { try Self.open([(key, value)]) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(key))
    }

    @Test func refusesLayersThatAreNot() {
        for types: JSONValue in [["full_attention"], ["full_attention", "linear_attention"], 7] {
            let error = #expect(throws: PithError.self) {
                try Self.open([
                    ("model_type", "gemma2"), ("architectures", nil), ("head_dim", 8), ("layer_types", types),
                ])
            }
            #expect(error?.place?.contains("layer_types") == true)
        }
    }

    /// Values that no writer means: each is refused by an error, or described without more memory than it is worth.
    @Test(arguments: GoldenModels.names) func brokenValuesAreRefusedOrHarmless(name: String) throws {
        let document = try JSONValue(contentsOf: joinPath(GoldenModels.path(name), ModelConfiguration.fileName))
        guard case .object(let object) = document else { throw PithError.fault("no object") }
        let values: [JSONValue?] = [
            nil, .null, 0, 1, -1, 3, 4096, .integer(1 << 24), .integer(.max), 0.5, -2.0, 1e300, true, "", "gelu", [],
            [1, "a", .null], ["rope_type": "longrope"], ["rope_type": "yarn", "factor": -1],
        ]
        var refused = 0
        for key in object.keys {
            for value in values {
                var broken = object
                broken[key] = value
                do throws(PithError) {
                    let architecture = try Architectures.open(JSONReader(.object(broken)))
                    #expect(architecture.configuration.layerCount <= 4096)
                    if architecture.configuration.layerCount < 64 { _ = architecture.describe().weightCount }
                } catch {
                    #expect(error.kind == .data && !error.message.isEmpty, "\(key)")
                    refused += 1
                }
            }
        }
        #expect(refused > 50)
    }

    @Test func expertsAreNotWithoutLimit() throws {
        let mixtral: [(String, JSONValue?)] = [
            ("model_type", "mixtral"), ("architectures", nil), ("num_experts_per_tok", 2), ("num_local_experts", 8),
        ]
        #expect(try Self.open(mixtral).describe().parameters.count { $0.ggufSlice != nil } == 2 * 8 * 3)
        let error = #expect(throws: PithError.self) {
            try Self.open(mixtral + [("num_local_experts", 60000), ("num_hidden_layers", 4000)])
        }
        #expect(error?.place?.contains("num_local_experts") == true)
    }

    @Test func aNameOfTheFamilyIsEnough() throws {
        #expect(try Self.open([("model_type", nil)]) is Llama)
        #expect(try Self.open([("architectures", nil)]) is Llama)
        #expect(throws: PithError.self) { try Self.open([("model_type", nil), ("architectures", nil)]) }
    }
}
