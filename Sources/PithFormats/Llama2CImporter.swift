import PithCore
import PithTensor

/// Turns a model of llama2.c (the legacy float32 `.bin` and its tokenizer `.bin`) into a Hugging Face folder.
///
/// Both files are checked to the last byte before anything is written.
public func importLlama2C(model: String, tokenizer: String, into folder: String) throws(PithError) {
    let checkpoint = try Llama2CCheckpoint(model)
    let vocabulary = try Llama2CVocabulary(tokenizer, count: checkpoint.configuration.vocabularySize)
    let configuration = checkpoint.configuration.json
    try Files.makeFolder(folder)
    try SafetensorsWriter.write(
        checkpoint.tensors(), metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
    try vocabulary.tokenizer.write(to: joinPath(folder, Tokenizer.fileName))
    try Llama2CVocabulary.settings.write(to: joinPath(folder, TokenizerSettings.fileName))
    try configuration.write(to: joinPath(folder, ModelConfiguration.fileName))
}

/// A checkpoint: seven numbers, then all weights as floats, kind by kind.
private struct Llama2CCheckpoint {
    let configuration: ModelConfiguration
    private let region: ByteRegion

    private static let headerLength = 28
    /// Newer exports begin with these letters.
    private static let versionedMagic: Int32 = 0x616B_3432

    init(_ path: String) throws(PithError) {
        region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do throws(PithError) {
            configuration = try Self.configuration(region)
            let expected = Self.weightCount(configuration)
            let available = region.count - Self.headerLength
            guard available % 4 == 0, available / 4 == expected else {
                throw .data(
                    "holds \(available) bytes of weights, but its header asks for \(expected) floats",
                    remedy: "a legacy float32 export of llama2.c is expected")
            }
        } catch { throw error.within(path) }
    }

    private static func configuration(_ region: ByteRegion) throws(PithError) -> ModelConfiguration {
        guard region.count >= headerLength else { throw .data("has \(region.count) bytes, too few for a header") }
        let header = region.withBytes { bytes in
            (0..<7).map { Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
        }
        guard header[0] != versionedMagic else {
            throw .data("is a versioned export of llama2.c", remedy: "the legacy export (version 0) is supported")
        }
        // A negative vocabulary says that the head is stored apart.
        let numbers = header.map { Int($0) }
        let headCount = numbers[3]
        guard headCount > 0, numbers[0] % headCount == 0 else {
            throw .data("its \(headCount) heads do not divide the width \(numbers[0])")
        }
        // A text of these models ends where the next begins, with token 1.
        return try ModelConfiguration(
            hiddenSize: numbers[0], layerCount: numbers[2], headCount: headCount, keyValueHeadCount: numbers[4],
            intermediateSize: numbers[1], vocabularySize: abs(numbers[5]), contextLength: numbers[6],
            tiesEmbeddings: numbers[5] > 0, bosToken: 1, eosTokens: [1, 2])
    }

    /// Cosines and sines of the rotation are stored too, and are not needed.
    private static func rotationCount(_ configuration: ModelConfiguration) -> Int {
        configuration.contextLength * configuration.headDimension
    }

    /// Floats of the file; a tied head is stored once.
    private static func weightCount(_ c: ModelConfiguration) -> Int {
        let attention = c.hiddenSize * c.headDimension * (2 * c.headCount + 2 * c.keyValueHeadCount)
        let layer = attention + 3 * c.hiddenSize * c.intermediateSize + 2 * c.hiddenSize
        return (c.tiesEmbeddings ? 1 : 2) * c.vocabularySize * c.hiddenSize + c.layerCount * layer + c.hiddenSize
            + rotationCount(c)
    }

    /// The weights under their names in a Hugging Face folder.
    func tensors() -> [(name: String, tensor: StoredTensor)] {
        let c = configuration
        let queryWidth = c.headCount * c.headDimension
        let keyWidth = c.keyValueHeadCount * c.headDimension
        var offset = Self.headerLength
        var result: [(name: String, tensor: StoredTensor)] = []
        func take(_ shape: [Int]) -> StoredTensor {
            let size = shape.reduce(4, *)
            defer { offset += size }
            return StoredTensor(type: .float32, shape: shape, region: region[offset..<offset + size])
        }
        func takeLayers(_ name: String, _ shape: [Int], heads: Int? = nil) {
            for layer in 0..<c.layerCount {
                let tensor = take(shape)
                let arranged = heads.map { Self.halvesOfHeads(tensor, headCount: $0) } ?? tensor
                result.append(("model.layers.\(layer).\(name).weight", arranged))
            }
        }
        result.append(("model.embed_tokens.weight", take([c.vocabularySize, c.hiddenSize])))
        takeLayers("input_layernorm", [c.hiddenSize])
        takeLayers("self_attn.q_proj", [queryWidth, c.hiddenSize], heads: c.headCount)
        takeLayers("self_attn.k_proj", [keyWidth, c.hiddenSize], heads: c.keyValueHeadCount)
        takeLayers("self_attn.v_proj", [keyWidth, c.hiddenSize])
        takeLayers("self_attn.o_proj", [c.hiddenSize, queryWidth])
        takeLayers("post_attention_layernorm", [c.hiddenSize])
        takeLayers("mlp.gate_proj", [c.intermediateSize, c.hiddenSize])
        takeLayers("mlp.down_proj", [c.hiddenSize, c.intermediateSize])
        takeLayers("mlp.up_proj", [c.intermediateSize, c.hiddenSize])
        result.append(("model.norm.weight", take([c.hiddenSize])))
        offset += 4 * Self.rotationCount(c)
        if !c.tiesEmbeddings { result.append(("lm_head.weight", take([c.vocabularySize, c.hiddenSize]))) }
        return result
    }

    /// llama2.c rotates neighbouring elements of a head, Hugging Face an element and the one half a head further.
    private static func halvesOfHeads(_ tensor: StoredTensor, headCount: Int) -> StoredTensor {
        let rows = tensor.shape[0]
        let order = RowOrder.unpairingHeads(of: rows / headCount)
        return StoredTensor(
            type: .float32, shape: tensor.shape, region: order.ordered(tensor.region, rows: rows))
    }
}
