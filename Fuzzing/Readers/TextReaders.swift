import PithCore
import PithEvaluation
import PithFormats
import PithHub
import PithModels
import PithPredictors
import PithTensor
import PithTraining
import PithWeights

extension Reader {
    static let json = Reader(
        "json", isText: true,
        seeds: { Seeds.texts(#"{"a":[1,-2.5e3,"ü\u00e4\ud83d\ude00",null,true,{}]}"#, "[[[]]]") }
    ) { (bytes, _) throws(PithError) in
        let value = try JSONValue(parsing: bytes)
        for written in [value.compactBytes(), value.prettyBytes()] {
            let again = try JSONValue(parsing: written)
            precondition(again == value, "written JSON says something else")
        }
    }

    /// What stands on command lines: specs of all planes, sizes, patterns, addresses.
    static let specs = Reader(
        "specs", isText: true, slack: 4 << 20,
        seeds: {
            Seeds.texts(
                "sparsegpt:pattern=2:4+gptq:bits=4+eora:rank=8", "weights=gptq:bits=4 cache=bf16 activations=float",
                "mix:memory=16MiB", "lora:rank=8,alpha=16+norms+soft:count=2", "1.5GiB", "org/name@v1.0",
                "*.{json,txt}",
                "rtn:bits=3,group=64", "aqlm:codebooks=2", "svd:ratio=0.6", "table", "lean", "none")
        }
    ) { (bytes, _) throws(PithError) in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = ByteCount(parsing: text)
        _ = NamePattern(text).matches("model-00001-of-00002.safetensors")
        attempt { () throws(PithError) in _ = try RepositoryAddress(parsing: text) }
        attempt { () throws(PithError) in _ = try RunPlan(parsing: text) }
        let spec = try Spec(parsing: text)
        let again = try Spec(parsing: spec.description)
        precondition(again == spec, "a spec's text is another spec")
        attempt { () throws(PithError) in _ = try WeightPipeline(spec) }
        attempt { () throws(PithError) in _ = try CacheCatalogue.method(for: spec) }
        attempt { () throws(PithError) in _ = try InputCatalogue.method(for: spec) }
        attempt { () throws(PithError) in _ = try DataCatalogue.method(for: spec) }
        for stage in spec.stages {
            attempt { () throws(PithError) in _ = try stage.resolve(among: AdapterCatalogue.all.map { $0.entry }) }
        }
    }

    static let programs = Reader(
        "programs", isText: true,
        seeds: {
            Seeds.texts(
                "repeat(3, bytes(1, 2))", "join(bytes(1), range(1, 2, 9))",
                "xor(7, interleave(range(0, 3, 5), bytes(2)))")
        }
    ) { (bytes, _) throws(PithError) in
        _ = try SequenceProgram(parsing: String(decoding: bytes, as: UTF8.self))
    }

    /// Entries of a hub's listing.
    static let hubFiles = Reader(
        "hub-files", isText: true,
        seeds: {
            Seeds.texts(
                #"[{"type":"file","path":"a/b.json","size":12,"oid":"0123456789012345678901234567890123456789"}]"#,
                #"[{"type":"directory","path":"a"},{"type":"file","path":"m.safetensors","size":5,"#
                    + #""lfs":{"size":5,"oid":""# + String(repeating: "0f", count: 32) + #""}}]"#)
        }
    ) { (bytes, _) throws(PithError) in
        for entry in try JSONReader(JSONValue(parsing: bytes)).array() { _ = try HubFile(entry) }
    }

    /// The configuration of any family.
    static let configurations = Reader(
        "configurations", isText: true,
        seeds: { try Seeds.goldenModels().map { try Files.bytes(joinPath($0, "config.json")) } }
    ) { (bytes, scratch) throws(PithError) in
        _ = try scratch.file("config.json", bytes)
        let architecture = try Architectures.open(folder: scratch.path)
        let description = architecture.describe()
        precondition(description.parameters.allSatisfy { $0.count >= 0 }, "a parameter has no size")
        _ = description.weightCount
    }

    static let trainingConfigurations = Reader(
        "training-configurations", isText: true,
        seeds: {
            Seeds.texts(
                #"{"vocabularySize":64,"hiddenSize":16,"layerCount":1,"headCount":2,"intermediateSize":24,"#
                    + #""contextLength":32,"steps":4,"batchSize":2,"sequenceLength":8,"learningRate":0.01,"#
                    + #""outputType":"float32"}"#)
        }
    ) { (bytes, _) throws(PithError) in
        let configuration = try TrainingConfiguration(json: JSONValue(parsing: bytes))
        let again = try TrainingConfiguration(json: configuration.json)
        precondition(again.json == configuration.json, "a written configuration says something else")
    }

    static let generationSettings = Reader(
        "generation-settings", isText: true,
        seeds: { Seeds.texts(#"{"eos_token_id":[1,2],"temperature":0.7}"#, #"{"eos_token_id":3}"#) }
    ) { (bytes, _) throws(PithError) in
        let settings = try GenerationSettings(json: JSONValue(parsing: bytes), vocabularySize: 100)
        precondition(settings.endTokens.allSatisfy { (0..<100).contains($0) }, "an end is outside the vocabulary")
    }

    /// Does something whose refusal is as good as its result.
    private static func attempt(_ body: () throws(PithError) -> Void) {
        do throws(PithError) { try body() } catch {
            precondition(error.kind != .fault, "a wrong text is called a fault: \(error)")
        }
    }
}
