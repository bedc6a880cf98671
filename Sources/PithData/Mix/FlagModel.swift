import PithCoding

/// Predicts the flags of an external predictor: its own probability, mixed with what came of flags in this context.
struct FlagModel {
    private var mixer: Mixer
    private let tables: MixTables
    // Estimates by context, and those in use.
    private let estimates: UnsafeMutablePointer<UInt32>
    private let used: UnsafeMutablePointer<Int>

    private static let contextBits = 12
    private static let contexts = 4

    init(_ tables: MixTables, _ arena: Arena) {
        self.tables = tables
        estimates = arena.allocate(Self.contexts << Self.contextBits)
        used = arena.allocate(Self.contexts)
        for index in 0..<Self.contexts << Self.contextBits { estimates[index] = Estimate.start }
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
        let hashes = [
            history.lastBytes(1), Hash.combine(1, history.lastBytes(2)), Hash.combine(2, history.lastBytes(4)),
            UInt64(outside.rowClass << 4 | strength),
        ]
        for (index, hash) in hashes.enumerated() {
            let place = Int(Hash.combine(UInt64(index), hash) >> UInt64(64 - Self.contextBits))
            used[index] = index << Self.contextBits | place
            inputs[ExternalInput.count + index] = Int16(tables.stretch(estimates[used[index]] >> 16))
        }
        inputs[ExternalInput.count + Self.contexts] = 256
        mixer.select(0, outside.rowClass)
        mixer.select(1, Int(history.byte(1)))
        mixer.select(2, strength)
        mixer.selectFinal(0, 0)
        return UInt32(min(max(tables.squash(mixer.predict()), 1), 65535))
    }

    /// Learns a flag.
    mutating func update(_ bit: UInt32) {
        for index in 0..<Self.contexts {
            estimates[used[index]] = Estimate.updated(estimates[used[index]], bit, limit: 255, tables)
        }
        mixer.update(bit)
    }
}
