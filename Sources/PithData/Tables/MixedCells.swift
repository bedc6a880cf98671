import PithCoding
import PithCore

/// Categorical cells row by row: the block's statistics are one of several predictions that are mixed.
struct MixedCells {
    private let plan: CategoryPlan
    /// Hashed contexts with the bits of the value so far, [2^bits].
    private var slots: [AdaptiveBit]
    private let shift: UInt64
    private var mixer: LogisticMixer

    private static let inputs = 7
    /// Columns share sets of mixing weights when there are more.
    private static let sets = 256

    init(_ plan: CategoryPlan) {
        self.plan = plan
        let cells = plan.classes.rows.count * plan.sizes.count
        let bits = min(max(10, bitsNeeded(cells) + 3), 22)
        slots = [AdaptiveBit](repeating: AdaptiveBit(), count: 1 << bits)
        shift = UInt64(64 - bits)
        mixer = LogisticMixer(inputs: Self.inputs, sets: Self.sets, weight: 20000, rate: 8)
    }

    /// Codes all cells, [columns, rows]; a reader passes nil.
    mutating func code<Port: BitPort>(_ codes: [[Int32]]?, _ port: inout Port) throws(PithError) -> [[Int32]] {
        let rowCount = plan.classes.rows.count
        // A reader's rows grow as they come.
        var result = plan.sizes.map { _ in [Int32]() }
        for row in 0..<rowCount {
            for column in plan.sizes.indices {
                let value = try code(codes.map { Int($0[column][row]) } ?? 0, row, column, result, &port)
                result[column].append(Int32(value))
            }
        }
        return result
    }

    private mutating func code<Port: BitPort>(
        _ value: Int, _ row: Int, _ column: Int, _ before: [[Int32]], _ port: inout Port
    ) throws(PithError) -> Int {
        let (rowClass, columnClass) = (UInt64(plan.classes.rows[row]), UInt64(plan.classes.columns[column]))
        let mark = UInt64(column) << 40
        let above = row > 0 ? UInt64(before[column][row - 1]) + 1 : 0
        let (first, second) = plan.tellers[column]
        let a = first >= 0 ? UInt64(before[first][row]) + 1 : 0
        let b = second >= 0 ? UInt64(before[second][row]) + 1 : 0
        let contexts = (
            hash(1, rowClass << 32 | columnClass), hash(2, mark), hash(3, mark | rowClass), hash(4, mark | above),
            hash(5, mark | a), hash(6, mark | b ^ a << 20), hash(7, hash(mark | a, above))
        )
        let depth = bitsNeeded(plan.sizes[column])
        var node = 1
        for bitPlace in (0..<depth).reversed() {
            let salt = UInt64(node) &* 0x2545_F491_4F6C_DD1D
            let places = (
                place(contexts.0, salt), place(contexts.1, salt), place(contexts.2, salt), place(contexts.3, salt),
                place(contexts.4, salt), place(contexts.5, salt), place(contexts.6, salt)
            )
            mixer.setInput(0, stretched: Logistic.stretch(slots[places.0].probability))
            mixer.setInput(1, stretched: Logistic.stretch(slots[places.1].probability))
            mixer.setInput(2, stretched: Logistic.stretch(slots[places.2].probability))
            mixer.setInput(3, stretched: Logistic.stretch(slots[places.3].probability))
            mixer.setInput(4, stretched: Logistic.stretch(slots[places.4].probability))
            mixer.setInput(5, stretched: Logistic.stretch(slots[places.5].probability))
            mixer.setInput(6, stretched: Logistic.stretch(slots[places.6].probability))
            let probability = Logistic.squash(mixer.mix(set: column % Self.sets))
            let bit = try port.code(value >> bitPlace & 1 == 1, probability: probability)
            mixer.update(bit)
            slots[places.0].update(bit, limit: 1022)
            slots[places.1].update(bit)
            slots[places.2].update(bit, limit: 1022)
            slots[places.3].update(bit)
            slots[places.4].update(bit)
            slots[places.5].update(bit)
            slots[places.6].update(bit)
            node = node << 1 | (bit ? 1 : 0)
        }
        let coded = node - 1 << depth
        guard coded < plan.sizes[column] else { throw .invalidStream("value \(coded) of \(plan.sizes[column])") }
        return coded
    }

    @inline(__always)
    private func place(_ context: UInt64, _ salt: UInt64) -> Int {
        Int(truncatingIfNeeded: ((context ^ salt) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }
}
