import PithCoding

/// Notes where bits go, for a `CodingTrace`: by region, and by family of models, each mixed for itself.
struct MixTrace {
    private let trace: CodingTrace
    private let tables: MixTables
    private let families: [Family]
    private var mixers: [Mixer]
    private var probabilities: [Int32]
    private var modelBits: [Double]
    private var regionBits = 0.0
    private var regionStart = 0
    private var position = 0
    private let costs: [Double]

    /// Inputs of the mixer that belong together.
    struct Family {
        var name: String
        var inputs: Range<Int>
    }

    private static let costBits = 12

    init(_ trace: CodingTrace, _ families: [Family], _ tables: MixTables, _ arena: Arena) {
        self.trace = trace
        self.tables = tables
        let families = families.filter { !$0.inputs.isEmpty }
        self.families = families
        mixers = families.map {
            Mixer(inputCount: $0.inputs.count + 1, sets: [256, 256], finalSets: [1], tables, arena)
        }
        probabilities = families.map { _ in 32768 }
        modelBits = families.map { _ in 0 }
        costs = (0...1 << Self.costBits).map { FixedPoint.idealBits(of: UInt64(max(1, 16 * $0))) }
    }

    /// Notes the inputs of the next bit.
    mutating func predict(_ inputs: UnsafeMutablePointer<Int16>, _ history: History) {
        for (index, family) in families.enumerated() {
            let mixer = mixers[index].inputs
            for (offset, input) in family.inputs.enumerated() { mixer[offset] = inputs[input] }
            mixer[family.inputs.count] = 256
            mixers[index].select(0, history.partial)
            mixers[index].select(1, Int(history.byte(1)))
            mixers[index].selectFinal(0, 0)
            probabilities[index] = tables.squash(mixers[index].predict())
        }
    }

    /// Bits that a bit took which had a probability of 2¹⁶ of being one.
    private func cost(_ probability: Int32, _ bit: UInt32) -> Double {
        costs[Int(bit == 1 ? probability : 65536 - probability) >> (16 - Self.costBits)]
    }

    /// Notes a bit that was coded with a probability of being one.
    mutating func update(_ bit: UInt32, probability: UInt32) {
        for index in families.indices {
            modelBits[index] += cost(probabilities[index], bit)
            mixers[index].update(bit)
        }
        regionBits += cost(Int32(probability), bit)
    }

    /// Notes a flag between two bytes.
    mutating func updateFlag(_ bit: Bool, probability: UInt32) {
        regionBits += cost(Int32(probability), bit ? 1 : 0)
    }

    /// Notes the end of a byte.
    mutating func finishByte() {
        position += 1
        if position % trace.regionSize == 0 { flush() }
    }

    /// Hands over what was noted.
    mutating func flush() {
        trace.add(bits: regionBits, at: regionStart)
        for (index, family) in families.enumerated() {
            trace.add(bits: modelBits[index], model: family.name)
            modelBits[index] = 0
        }
        (regionBits, regionStart) = (0, position)
    }
}
