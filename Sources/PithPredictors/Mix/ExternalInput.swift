import PithCoding

/// What an external predictor says, as inputs of the mixer: as it is, and as it proved right behind the last bytes.
struct ExternalInput {
    static let count = 3 + 2 * lengths.count

    /// How many last bytes are the contexts in which a prediction is corrected.
    private static let lengths = [1, 3]

    /// The predictor's prediction, stretched; 0 without.
    private(set) var stretched: Int32 = 0
    /// 0 without a prediction, else by its class of confidence: 1..<32.
    private(set) var rowClass = 0
    private var corrections: [Refinement]
    private let tables: MixTables
    private let bits: Int

    /// Inputs of a predictor that is corrected in 2^`bits` contexts.
    init(bits: Int, _ tables: MixTables, _ arena: Arena) {
        (self.bits, self.tables) = (bits, tables)
        corrections = Self.lengths.map { _ in Refinement(contexts: 1 << bits, rate: 6, arena) }
    }

    /// Writes the inputs of a bit; `partial` is what is known of the byte or flag behind the last bytes.
    @inline(__always)
    mutating func predict(
        _ prediction: ExternalPrediction, _ history: History, _ partial: Int, into inputs: UnsafeMutablePointer<Int16>
    ) {
        for index in 0..<Self.count { inputs[index] = 0 }
        (stretched, rowClass) = (0, 0)
        guard prediction.probability > 0 else { return }
        let probability = min(prediction.probability, 65535)
        stretched = tables.stretch(probability)
        rowClass = 1 + min(max(prediction.confidence, 0), ExternalPrediction.classes - 1) * 31 / 32
        write(probability, inputs)
        // A predictor that is certain shall be able to have the last word.
        inputs[2] = abs(stretched) > 1024 ? Int16(stretched) : 0
        for (index, length) in Self.lengths.enumerated() {
            let context = Hash.combine(history.lastBytes(length), UInt64(partial)) &>> UInt64(64 - bits)
            let corrected = corrections[index].refine(stretched, Int(context))
            write(UInt32(min(max(corrected, 1), 65535)), inputs + 3 + 2 * index)
        }
    }

    @inline(__always)
    private func write(_ probability: UInt32, _ inputs: UnsafeMutablePointer<Int16>) {
        inputs[0] = Int16(tables.stretch(probability))
        inputs[1] = Int16((Int32(probability) - 32768) >> 5)
    }

    /// Learns the bit that was predicted.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        guard rowClass > 0 else { return }
        for index in corrections.indices { corrections[index].update(bit) }
    }
}
