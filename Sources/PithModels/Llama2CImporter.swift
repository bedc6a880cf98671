import PithCore
import PithFormats
import PithTensor

/// Turns a model of llama2.c (the legacy float32 `.bin` and its tokenizer `.bin`) into a Hugging Face folder.
///
/// Both files are checked to the last byte before anything is written.
public func importLlama2C(model: String, tokenizer: String, into folder: String) throws(PithError) {
    let checkpoint = try Llama2CCheckpoint(model)
    let vocabulary = try Llama2CVocabulary(tokenizer, count: checkpoint.configuration.vocabularySize)
    try Files.makeFolder(folder)
    try SafetensorsWriter.write(
        checkpoint.tensors(), metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
    try vocabulary.tokenizer.write(to: joinPath(folder, Tokenizer.fileName))
    try Llama2CVocabulary.settings.write(to: joinPath(folder, TokenizerSettings.fileName))
    try Llama.document(checkpoint.configuration).write(to: joinPath(folder, ModelConfiguration.fileName))
}

/// A checkpoint: seven numbers, then all weights as floats, kind by kind.
private struct Llama2CCheckpoint {
    let configuration: ModelConfiguration
    private let description: ModelDescription
    private let region: ByteRegion

    private static let headerLength = 28
    /// Newer exports begin with these letters.
    private static let versionedMagic: Int32 = 0x616B_3432

    init(_ path: String) throws(PithError) {
        region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do throws(PithError) {
            configuration = try Self.configuration(region)
            let available = region.count - Self.headerLength
            // A description is made of no more layers than the file can hold: each has two norms.
            guard configuration.layerCount <= available / (2 * 4 * configuration.hiddenSize) else {
                throw .data(
                    "holds \(available) bytes of weights, but its header asks for \(configuration.layerCount) layers")
            }
            description = Llama(configuration).describe()
            let expected = description.weightCount + Self.rotationCount(configuration)
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

    /// The kinds of a layer's weights in the order of the file, as GGUF files call them, which have the rows of queries
    /// and keys in the same order.
    private static let kinds = [
        "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_down", "ffn_up",
    ]

    /// The weights under their names in a Hugging Face folder.
    func tensors() -> [(name: String, tensor: StoredTensor)] {
        var offset = Self.headerLength
        func take(_ spec: ParameterSpec) -> (name: String, tensor: StoredTensor) {
            let size = 4 * spec.count
            defer { offset += size }
            let rows = spec.ggufOrder.ordered(region[offset..<offset + size], rows: spec.shape[0])
            return (spec.name, StoredTensor(type: .float32, shape: spec.shape, region: rows))
        }
        let layers = description.layers.map { $0.parameters.map { description[$0] } }
        var result = [take(description[description.input.table])]
        for kind in Self.kinds {
            for layer in layers {
                result += layer.filter { $0.ggufName?.hasSuffix(".\(kind).weight") == true }.map(take)
            }
        }
        if let output = description.output {
            result.append(take(description[output.norm.weight]))
            offset += 4 * Self.rotationCount(configuration)
            if output.matrix != description.input.table { result.append(take(description[output.matrix])) }
        }
        return result
    }
}
