import PithCoding

/// Predicts the flags of an external predictor: its own probability, mixed with what came of flags in this context.
struct FlagModel {
    private var mixer: Mixer
    private let tables: MixTables
    // Estimates by context, and those in use.
    private let estimates: UnsafeMutablePointer<UInt32>
    private let used: UnsafeMutablePointer<Int>

    private let contextBits: Int

    /// Lengths of the contexts of bytes. Whether a token ends follows from the bytes to come: long contexts know them.
    private static let lengths = [1, 2, 3, 4, 5, 6, 8]
    private static let contexts = lengths.count + 1

    /// A model of flags with 2^`bits` estimates for each context.
    init(bits: Int, _ tables: MixTables, _ arena: Arena) {
        self.tables = tables
        contextBits = bits
        estimates = arena.allocate(Self.contexts << bits)
        used = arena.allocate(Self.contexts)
        for index in 0..<Self.contexts << bits { estimates[index] = Estimate.start }
        mixer = Mixer(
            inputCount: ExternalInput.count + Self.contexts + 1, sets: [ExternalPrediction.classes, 256, 16],
            finalSets: [1], tables, arena)
    }

    /// The probability of 2¹⁶, in 1..<2¹⁶, that the flag is true.
    mutating func predict(_ prediction: ExternalPrediction, _ history: History, _ matches: MatchModels) -> UInt32 {
        let inputs = mixer.inputs
        var outside = ExternalInput()
        outside.predict(prediction, tables, into: inputs)
        let strength = matches.best.strength
        for (index, length) in Self.lengths.enumerated() {
            look(up: Hash.combine(UInt64(index), history.lastBytes(length)), index, inputs)
        }
        look(up: UInt64(outside.rowClass << 4 | strength), Self.lengths.count, inputs)
        inputs[ExternalInput.count + Self.contexts] = 256
        mixer.select(0, outside.rowClass)
        mixer.select(1, Int(history.byte(1)))
        mixer.select(2, strength)
        mixer.selectFinal(0, 0)
        return UInt32(min(max(tables.squash(mixer.predict()), 1), 65535))
    }

    /// Finds the estimate of a context and gives it to the mixer.
    private func look(up hash: UInt64, _ index: Int, _ inputs: UnsafeMutablePointer<Int16>) {
        let place = Int(Hash.combine(UInt64(index), hash) >> UInt64(64 - contextBits))
        used[index] = index << contextBits | place
        inputs[ExternalInput.count + index] = Int16(tables.stretch(estimates[used[index]] >> 16))
    }

    /// Learns a flag.
    mutating func update(_ bit: UInt32) {
        for index in 0..<Self.contexts {
            estimates[used[index]] = Estimate.updated(estimates[used[index]], bit, limit: 255, tables)
        }
        mixer.update(bit)
    }
}
