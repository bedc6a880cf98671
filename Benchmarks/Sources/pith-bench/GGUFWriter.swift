import Pith

/// Writes models of random weights as GGUF files, version 3, for programs that read those.
///
/// Layers hold the same numbers, each at its own place.
struct GGUFWriter {
    private let configuration: ModelConfiguration
    private let type: GGUFType
    private let seed: UInt64
    private static let alignment = 32

    /// Files of another version are made again.
    static let version = 1

    /// A writer of one model in one type, norms apart.
    init(_ configuration: ModelConfiguration, _ type: GGUFType, seed: UInt64) {
        precondition(type.fits(configuration), "rows of \(type.name) are whole blocks")
        self.configuration = configuration
        self.type = type
        self.seed = seed
    }

    /// Writes the file, which appears when it is whole.
    func write(to path: String) throws(PithError) {
        let entries = entries
        let file = try AtomicFile(at: path)
        try file.append(header(entries))
        // Matrices of the same size share their numbers.
        var matrices: [Int: StoredTensor] = [:]
        for entry in entries {
            let tensor =
                entry.isNorm
                ? norm : matrices[entry.count] ?? type.randomMatrix(entry.count, seed: seed &+ UInt64(entry.count))
            if !entry.isNorm { matrices[entry.count] = tensor }
            try tensor.region.withBytes { (bytes) throws(PithError) in try file.write(bytes) }
            try file.append([UInt8](repeating: 0, count: Self.padding(entry.byteCount(type))))
        }
        try file.commit()
    }

    /// A tensor of the file.
    private struct Entry {
        let name: String
        /// Outermost first; one extent for norms.
        let shape: [Int]
        var isNorm: Bool { shape.count == 1 }
        var count: Int { shape.reduce(1, *) }
        func byteCount(_ type: GGUFType) -> Int { isNorm ? count * 4 : count / type.blockSize * type.blockBytes }
    }

    private var norm: StoredTensor {
        StoredTensor(
            Tensor(shape: [configuration.hiddenSize], values: .init(repeating: 1, count: configuration.hiddenSize)))
    }

    private var entries: [Entry] {
        configuration.parameters.compactMap { spec in spec.ggufName.map { Entry(name: $0, shape: spec.shape) } }
    }

    private func header(_ entries: [Entry]) -> [UInt8] {
        var bytes = GGUFBytes()
        let metadata = metadata()
        bytes.append(raw: "GGUF")
        bytes.append(UInt32(3))
        bytes.append(UInt64(entries.count))
        bytes.append(UInt64(metadata.count))
        for (key, value) in metadata { bytes.append(key, value) }
        var offset = 0
        for entry in entries {
            bytes.append(entry.name)
            bytes.append(UInt32(entry.shape.count))
            for extent in entry.shape.reversed() { bytes.append(UInt64(extent)) }
            bytes.append(entry.isNorm ? UInt32(0) : type.identifier)
            bytes.append(UInt64(offset))
            let size = entry.byteCount(type)
            offset += size + Self.padding(size)
        }
        return bytes.bytes + [UInt8](repeating: 0, count: Self.padding(bytes.bytes.count))
    }

    private func metadata() -> [(key: String, value: GGUFBytes.Value)] {
        let c = configuration
        return [
            ("general.architecture", .text("llama")),
            ("general.name", .text("random weights")),
            ("general.quantization_version", .whole(2)),
            ("llama.vocab_size", .whole(c.vocabularySize)),
            ("llama.context_length", .whole(c.contextLength)),
            ("llama.embedding_length", .whole(c.hiddenSize)),
            ("llama.block_count", .whole(c.layerCount)),
            ("llama.feed_forward_length", .whole(c.intermediateSize)),
            ("llama.attention.head_count", .whole(c.headCount)),
            ("llama.attention.head_count_kv", .whole(c.keyValueHeadCount)),
            ("llama.attention.layer_norm_rms_epsilon", .real(Float(c.normEpsilon))),
            ("llama.rope.dimension_count", .whole(c.headDimension)),
            ("llama.rope.freq_base", .real(Float(c.ropeTheta))),
            ("tokenizer.ggml.model", .text("no_vocab")),
        ]
    }

    private static func padding(_ count: Int) -> Int { (alignment - count % alignment) % alignment }
}

/// The bytes of a header: numbers little-endian, texts with their length before them.
private struct GGUFBytes {
    enum Value {
        case text(String)
        case whole(Int)
        case real(Float)
    }

    private(set) var bytes: [UInt8] = []

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }

    mutating func append(raw text: String) { bytes += text.utf8 }

    mutating func append(_ text: String) {
        append(UInt64(text.utf8.count))
        append(raw: text)
    }

    mutating func append(_ key: String, _ value: Value) {
        append(key)
        switch value {
        case .whole(let number):
            append(UInt32(4))
            append(UInt32(number))
        case .real(let number):
            append(UInt32(6))
            append(number.bitPattern)
        case .text(let text):
            append(UInt32(8))
            append(text)
        }
    }
}

extension AtomicFile {
    fileprivate func append(_ bytes: [UInt8]) throws(PithError) {
        guard !bytes.isEmpty else { return }
        let region = ByteRegion(copying: bytes)
        try write(region.bytes)
        withExtendedLifetime(region) {}
    }
}
