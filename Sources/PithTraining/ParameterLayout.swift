import PithFormats
import PithTensor

extension ModelConfiguration {
    /// Floats of all queries of a position.
    var querySize: Int { headCount * headSize }
    /// Floats of all keys of a position.
    var keyValueSize: Int { keyValueHeadCount * headSize }

    /// Floating-point operations that training needs for one token of sequences of `length`: 6 for each weight of a
    /// product (2 forward, 4 back; the look-up of an embedding costs none, the head does), and for each layer and
    /// query head 12 · headSize for each of the (length + 1) / 2 keys that a query sees on average.
    public func trainingOperations(perTokenAt length: Int) -> Double {
        let products = ParameterLayout(self).entries.filter(\.isMatrix).reduce(0) { $0 + $1.count }
        let lookedUp = tiesEmbeddings ? 0 : vocabularySize * hiddenSize
        return 6 * Double(products - lookedUp) + 6 * Double(layerCount * querySize) * Double(length + 1)
    }
}

/// Where each parameter lies in the one block of floats that holds them all.
struct ParameterLayout {
    struct Entry {
        /// The name in a Hugging Face folder.
        let name: String
        let rows: Int
        let columns: Int
        /// Vectors of norms have one extent in files.
        let isMatrix: Bool
        /// The standard deviation at the start; nil for ones.
        let deviation: Float?
        /// The first float; entries begin on whole cache lines.
        let offset: Int

        var count: Int { rows * columns }
        var range: Range<Int> { offset..<offset + count }
        var shape: [Int] { isMatrix ? [rows, columns] : [columns] }
    }

    private(set) var entries: [Entry] = []
    /// Floats of the block, gaps included.
    private(set) var count = 0

    /// Floats of all parameters.
    var parameterCount: Int { entries.reduce(0) { $0 + $1.count } }

    init(_ shape: ModelConfiguration) {
        let usual: Float = 0.02
        // Each layer adds two terms to the residual stream; together they shall start as one would.
        let residual = usual / Float(2 * shape.layerCount).squareRoot()
        addMatrix("model.embed_tokens.weight", shape.vocabularySize, shape.hiddenSize, usual)
        for layer in 0..<shape.layerCount {
            let prefix = "model.layers.\(layer)."
            addVector(prefix + "input_layernorm.weight", shape.hiddenSize)
            addMatrix(prefix + "self_attn.q_proj.weight", shape.querySize, shape.hiddenSize, usual)
            addMatrix(prefix + "self_attn.k_proj.weight", shape.keyValueSize, shape.hiddenSize, usual)
            addMatrix(prefix + "self_attn.v_proj.weight", shape.keyValueSize, shape.hiddenSize, usual)
            addMatrix(prefix + "self_attn.o_proj.weight", shape.hiddenSize, shape.querySize, residual)
            addVector(prefix + "post_attention_layernorm.weight", shape.hiddenSize)
            addMatrix(prefix + "mlp.gate_proj.weight", shape.intermediateSize, shape.hiddenSize, usual)
            addMatrix(prefix + "mlp.up_proj.weight", shape.intermediateSize, shape.hiddenSize, usual)
            addMatrix(prefix + "mlp.down_proj.weight", shape.hiddenSize, shape.intermediateSize, residual)
        }
        addVector("model.norm.weight", shape.hiddenSize)
        if !shape.tiesEmbeddings { addMatrix("lm_head.weight", shape.vocabularySize, shape.hiddenSize, usual) }
    }

    private mutating func addMatrix(_ name: String, _ rows: Int, _ columns: Int, _ deviation: Float) {
        add(Entry(name: name, rows: rows, columns: columns, isMatrix: true, deviation: deviation, offset: count))
    }

    private mutating func addVector(_ name: String, _ columns: Int) {
        add(Entry(name: name, rows: 1, columns: columns, isMatrix: false, deviation: nil, offset: count))
    }

    private mutating func add(_ entry: Entry) {
        entries.append(entry)
        count += (entry.count + 15) / 16 * 16
    }

    /// Fills a block with the starting values.
    func initialize(_ weights: FloatBuffer, from generator: inout SeededGenerator) {
        for entry in entries {
            for i in entry.range { weights.pointer[i] = entry.deviation.map { $0 * generator.normal() } ?? 1 }
        }
    }
}
