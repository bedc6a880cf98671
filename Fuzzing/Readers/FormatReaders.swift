import PithConversion
import PithCore
import PithFormats
import PithModels
import PithTensor

extension Reader {
    static let safetensors = Reader("safetensors", seeds: { try Seeds.golden(["reference.safetensors"]) }) {
        (bytes, scratch) throws(PithError) in
        let path = try scratch.file("a.safetensors", bytes)
        try readAll(SafetensorsFile(path))
        _ = try SafetensorsFile.ranges(in: MappedFile.open(path))
    }

    /// An index and its shards.
    static let tensorIndex = Reader(
        "tensor-index",
        seeds: {
            let file = try Files.bytes(Seeds.goldenPath("reference.safetensors"))
            let names = try SafetensorsFile(Seeds.goldenPath("reference.safetensors")).names
            var map = JSONObject()
            for name in names { map[name] = .string("m-1.safetensors") }
            let index: JSONValue = ["metadata": ["total_size": 12], "weight_map": .object(map)]
            return [Bundle.bytes([(TensorArchive.indexName, index.compactBytes()), ("m-1.safetensors", file)])]
        }
    ) { (bytes, scratch) throws(PithError) in
        let archive = try TensorArchive(folder: scratch.folder(bytes))
        for name in archive.names {
            let count = try archive.tensor(name).count
            precondition(count >= 0, "a tensor without a size")
        }
    }

    /// All elements of all tensors.
    private static func readAll(_ file: SafetensorsFile) throws(PithError) {
        var bytes = 0
        for name in file.names {
            guard let tensor = file[name] else { preconditionFailure("a tensor is named that is not there") }
            precondition(tensor.byteCount == tensor.count * tensor.type.byteCount, "a tensor of another size")
            bytes += tensor.region.withBytes { $0.count }
            guard tensor.type.dense != nil else { continue }
            let count = try tensor.decoded().count
            precondition(count == tensor.count, "elements are lost")
        }
        precondition(bytes <= file.size.value, "more bytes than the file has")
    }

    /// Heads, tokenizers and blocks of all types.
    static let gguf = Reader("gguf", seeds: { ggufSeeds() }) {
        (bytes, scratch) throws(PithError) in
        let file = try GGUFFile(path: scratch.file("a.gguf", bytes))
        for tensor in file.tensors { _ = try? file.values(tensor.name) }
        _ = try? GGUFTokenizerSettings(file.metadata)
        try encode(with: Tokenizer(gguf: file))
    }

    /// A tensor of one block for each type, and the tokenizers that files have.
    private static func ggufSeeds() -> [[UInt8]] {
        let tensors = GGUFType.allCases.filter { $0.form != nil || $0.element != nil }.map { type in
            (
                name: "t\(type.rawValue)", extents: [type.blockLength], type: type.rawValue,
                bytes: [UInt8](repeating: 0x31, count: type.blockBytes)
            )
        }
        let kinds = GGUFSeed.Value.integers([2, 3, 1, 1, 1, 1, 1, 1])
        let tokens = GGUFSeed.Value.texts(["<unk>", "<s>", "a", "b", "c", "ab", "abc", "Ġ"])
        let models: [(String, [(String, GGUFSeed.Value)])] = [
            ("gpt2", [("merges", .texts(["a b", "ab c"])), ("pre", .text("gpt-2"))]),
            ("llama", [("scores", .reals([Float](repeating: -1, count: 8)))]), ("bert", []),
        ]
        return models.map { name, more in
            let pairs = [
                ("model", .text(name)), ("tokens", tokens), ("bos_token_id", .unsigned(1)), ("token_type", kinds),
            ]
            return GGUFSeed.bytes(
                [("general.architecture", .text("llama"))] + (pairs + more).map { ("tokenizer.ggml.\($0.0)", $0.1) },
                tensors)
        }
    }

    /// Whole models, which read some tokens.
    static let ggufModel = Reader(
        "gguf-model",
        seeds: {
            let scratch = try Scratch()
            return try [("qwen2", "gguf"), ("qwen3", "gguf:type=Q8_0"), ("grouped-untied", "gguf:type=Q4_0")].map {
                let path = joinPath(scratch.path, "\($0.0).gguf")
                _ = try ModelConverter(
                    ModelSource(Seeds.goldenPath("logits/\($0.0)")), to: FormatCatalogue.format($0.1), pool: pool
                ).run(to: path)
                return try Files.bytes(path)
            }
        }
    ) { (bytes, scratch) throws(PithError) in try run(ModelSource(scratch.file("a.gguf", bytes))) }

    static let llama2C = Reader(
        "llama2c",
        seeds: {
            [Bundle.bytes([("model.bin", Seeds.llama2C), ("tokenizer.bin", Seeds.llama2CTokenizer)])]
        }
    ) { (bytes, scratch) throws(PithError) in
        let folder = try scratch.folder(bytes)
        try importLlama2C(
            model: joinPath(folder, "model.bin"), tokenizer: joinPath(folder, "tokenizer.bin"),
            into: joinPath(folder, "out"))
        try run(ModelSource(joinPath(folder, "out")))
    }

    static let rwkv = Reader("rwkv", seeds: { [Seeds.rwkv] }) { (bytes, scratch) throws(PithError) in
        try scratch.clear()
        let model = try scratch.file("model.bin", bytes)
        try importRWKV(model: model, into: joinPath(scratch.path, "out"))
        try run(ModelSource(joinPath(scratch.path, "out")))
    }
}
