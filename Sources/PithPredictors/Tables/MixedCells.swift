import PithCoding
import PithCore

/// Categorical cells row by row: the block's statistics are one of several predictions that are mixed.
struct MixedCells {
    private let plan: CategoryPlan
    private var contexts: HashedContexts
    private var mixer: LogisticMixer

    /// Columns share sets of mixing weights when there are more.
    private static let sets = 256

    init(_ plan: CategoryPlan) {
        self.plan = plan
        let cells = plan.classes.rows.count * plan.sizes.count
        let bits = min(max(10, bitsNeeded(cells) + 3), 22)
        let usual = AdaptiveBit.defaultLimit
        contexts = HashedContexts(bits: bits, limits: (1022, usual, 1022, usual, usual, usual, usual))
        mixer = LogisticMixer(inputs: HashedContexts.count, sets: Self.sets, weight: 20000, rate: 8)
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
        let hashes = (
            hash(1, rowClass << 32 | columnClass), hash(2, mark), hash(3, mark | rowClass), hash(4, mark | above),
            hash(5, mark | a), hash(6, mark | b ^ a << 20), hash(7, hash(mark | a, above))
        )
        let depth = bitsNeeded(plan.sizes[column])
        var node = 1
        for bitPlace in (0..<depth).reversed() {
            let places = contexts.places(of: hashes, node: node)
            contexts.predict(places, into: &mixer)
            let probability = Logistic.squash(mixer.mix(set: column % Self.sets))
            let bit = try port.code(value >> bitPlace & 1 == 1, probability: probability)
            mixer.update(bit)
            contexts.update(places, bit)
            node = node << 1 | (bit ? 1 : 0)
        }
        let coded = node - 1 << depth
        guard coded < plan.sizes[column] else { throw .invalidStream("value \(coded) of \(plan.sizes[column])") }
        return coded
    }
}
