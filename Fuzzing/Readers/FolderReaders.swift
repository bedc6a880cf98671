import PithCore
import PithFormats
import PithModels
import PithTensor
import PithWeights

extension Reader {
    static let pool = ThreadPool(threads: 1)

    /// Loads a model, which reads three tokens, as an encoder does or one after the other.
    static func run(_ source: ModelSource) throws(PithError) {
        let model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: true)
        _ = try? source.chatTemplate()
        guard source.description.output != nil else {
            _ = try TextEncoder(source, model).encode(["a b", "c"])
            return
        }
        var state = model.makeState()
        let tokens = [0, 1, 2].map { min($0, source.configuration.vocabularySize - 1) }
        _ = try model.nextLogits(Array(tokens[..<2]), state: &state)
        _ = try model.nextLogits(Array(tokens[2...]), state: &state)
    }

    /// A folder of any family, which reads some tokens.
    static let model = Reader(
        "model",
        seeds: { try Seeds.goldenModels().map { try Seeds.bundle($0, ["config.json", "model.safetensors"]) } }
    ) { (bytes, scratch) throws(PithError) in
        let folder = try scratch.folder(bytes)
        _ = try scratch.file("tokenizer.json", smallTokenizer)
        try run(ModelSource(folder))
    }

    private static let smallTokenizer = Array(
        #"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2},"merges":[]},"added_tokens":[]}"#.utf8)

    /// Folders that other programs quantised.
    static let checkpoints = Reader(
        "checkpoints",
        seeds: { try Seeds.goldenCheckpoints().map { try Seeds.bundle($0, ["config.json", "model.safetensors"]) } }
    ) { (bytes, scratch) throws(PithError) in
        let folder = try scratch.folder(bytes)
        _ = try scratch.file("tokenizer.json", smallTokenizer)
        try run(ModelSource(folder))
    }

    /// Manifests with matrices in all layouts: each is opened, decoded and multiplied.
    static let manifests = Reader("manifests", seeds: { try manifestSeeds() }) {
        (bytes, scratch) throws(PithError) in
        let folder = try scratch.folder(bytes)
        let manifest = try CompressionManifest(json: JSONValue(contentsOf: joinPath(folder, "pith.json")))
        let archive = try TensorArchive(folder: folder)
        for (name, form) in manifest.weights.sorted(by: { $0.key < $1.key }) {
            let matrix = try form.open(name, layouts: WeightLayouts.catalogue) { (name) throws(PithError) in
                try archive.tensor(name)
            }
            try matrix.verify(pool: pool)
            try use(matrix, allowing: 4 * bytes.count + 1 << 16)
        }
    }

    /// Products with one row and three, and some rows decoded, of a matrix of at most so many elements.
    private static func use(_ matrix: any StoredLinear, allowing count: Int) throws(PithError) {
        guard matrix.inputCount <= count, matrix.outputCount <= count,
            matrix.inputCount * matrix.outputCount <= count
        else { return }
        for rows in [1, 3] {
            let input = (0..<rows * matrix.inputCount).map { Float($0 % 7) - 3 }
            var output = [Float](repeating: 0, count: rows * matrix.outputCount)
            for precision in ActivationPrecision.allCases {
                let block = ActivationBlock(precision: precision)
                input.withUnsafeBufferPointer { input in
                    output.withUnsafeMutableBufferPointer { output in
                        guard let input = input.baseAddress, let output = output.baseAddress else { return }
                        block.load(input, rows: rows, width: matrix.inputCount)
                        block.multiply(by: [LinearProduct(matrix, into: output)], pool: pool)
                    }
                }
            }
        }
        guard let decoding = matrix as? any RowDecodable else { return }
        var row = [Float](repeating: 0, count: matrix.inputCount)
        for index in 0..<min(20, matrix.outputCount) {
            row.withUnsafeMutableBufferPointer {
                if let base = $0.baseAddress { decoding.decodeRow(index, into: base) }
            }
        }
    }

    /// A folder for each method of the weights plane, without sums that would hide what is damaged.
    private static func manifestSeeds() throws -> [[UInt8]] {
        var random = SeededGenerator(seed: 5)
        let (weight, inputs) = (random.normalTensor([20, 48], scale: 0.05), random.normalTensor([96, 48]))
        var statistics = InputStatistics(width: 48, gathering: .hessian)
        statistics.add(inputs, pool: pool)
        let specs =
            WeightCatalogue.all.map { "\($0.identifier)" } + [
                "rtn:bits=2", "rtn:bits=3", "rtn:bits=8", "sparsegpt:pattern=2:4+gptq:bits=4",
                "magnitude:sparsity=0.8", "rtn:bits=4+entropy", "gptq:bits=2+eora:rank=4",
            ]
        return try specs.compactMap { text -> [UInt8]? in
            guard
                let matrix = try? WeightPipeline(Spec(parsing: text)).compress(
                    name: "w", weight: weight, originalType: .bfloat16, statistics: statistics, seed: 1)
            else { return nil }
            let scratch = try Scratch()
            let path = joinPath(scratch.path, "a.safetensors")
            try SafetensorsWriter.write(matrix.tensors(named: "w"), to: path)
            let manifest = CompressionManifest(
                spec: text, seed: 1, source: [:], calibration: nil, weights: ["w": .init(matrix)])
            var keys = try JSONReader(manifest.json).object()
            // The sum of the manifest would hide all damage but its own.
            for key in keys.keys where key == "checksum" { keys[key] = nil }
            return Bundle.bytes([
                ("pith.json", JSONValue.object(keys).compactBytes()), (TensorArchive.fileName, try Files.bytes(path)),
            ])
        }
    }

    /// PEFT's folders, for one model.
    static let adapters = Reader("adapters", seeds: { try adapterSeeds() }) {
        (bytes, scratch) throws(PithError) in
        let description = try Architectures.open(folder: Seeds.goldenPath("logits/qwen2")).describe()
        _ = try Adapter(folder: scratch.folder(bytes), for: description)
    }

    private static func adapterSeeds() throws -> [[UInt8]] {
        let source = try ModelSource(Seeds.goldenPath("logits/qwen2"))
        var random = SeededGenerator(seed: 6)
        let module = "base_model.model.model.layers.0.self_attn.q_proj"
        let index = source.description.parameters.firstIndex { $0.name == "model.layers.0.self_attn.q_proj.weight" }
        guard let shape = index.map({ source.description.parameters[$0].shape }) else { return [] }
        let (scratch, factors) = (
            try Scratch(),
            [("A", random.normalTensor([2, shape[1]])), ("B", random.normalTensor([shape[0], 2]))]
        )
        let path = joinPath(scratch.path, "a.safetensors")
        try SafetensorsWriter.write(
            factors.map { (name: "\(module).lora_\($0.0).weight", tensor: StoredTensor($0.1)) }, to: path)
        let configuration =
            #"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"],"use_rslora":false,"#
            + #""rank_pattern":{}}"#
        return [
            Bundle.bytes([
                ("adapter_config.json", Array(configuration.utf8)),
                ("adapter_model.safetensors", try Files.bytes(path)),
            ])
        ]
    }

    /// What says how an encoder makes vectors.
    static let sentenceModules = Reader(
        "sentence-modules",
        seeds: {
            [
                try Seeds.bundle(
                    Seeds.goldenPath("logits/sentences"),
                    [
                        "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
                        "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors",
                    ])
            ]
        }
    ) { (bytes, scratch) throws(PithError) in
        _ = try SentenceModules(folder: scratch.folder(bytes), hiddenSize: goldenWidth)
    }

    private static let goldenWidth: Int =
        (try? Architectures.open(folder: Seeds.goldenPath("logits/sentences")))?.configuration.hiddenSize ?? 0
}
