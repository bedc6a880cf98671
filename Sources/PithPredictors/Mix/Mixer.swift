import CPithKernels
import PithCoding
import PithTensor

/// Weighs predictions in the logistic domain, in two layers.
///
/// The first layer has several sets of weights; of each set one row is selected by a context of its own, and each row is
/// trained for itself. The second layer does the same with the outputs of the first, and its rows are averaged.
struct Mixer {
    /// The first layer's inputs: stretched predictions, `inputCount` of them.
    let inputs: UnsafeMutablePointer<Int16>
    let inputCount: Int
    private var first: MixerLayer
    private var second: MixerLayer
    private let tables: MixTables

    /// A mixer of `inputCount` inputs; `sets` and `finalSets` are numbers of rows. New rows of the first layer have
    /// `initialWeight`, and at some inputs, by their index, weights of their own.
    init(
        inputCount: Int, sets: [Int], finalSets: [Int], initialWeight: Int = 250, ownWeights: [Int: Int16] = [:],
        _ tables: MixTables, _ arena: Arena
    ) {
        self.inputCount = inputCount
        self.tables = tables
        first = MixerLayer(
            inputCount: inputCount, sets: sets, initialWeight: initialWeight, ownWeights: ownWeights,
            rates: (8000, 600, 400), arena)
        second = MixerLayer(
            inputCount: sets.count, sets: finalSets, initialWeight: 1 << 14 / Int(sets.count), rates: (2500, 450, 400),
            arena)
        inputs = first.inputs
    }

    /// Selects a row of a set of the first layer.
    @inline(__always)
    mutating func select(_ set: Int, _ row: Int) { first.select(set, row) }
    /// Selects a row of a set of the second layer.
    @inline(__always)
    mutating func selectFinal(_ set: Int, _ row: Int) { second.select(set, row) }

    /// The mixed prediction, stretched.
    mutating func predict() -> Int32 {
        first.predict(tables)
        for set in 0..<first.setCount { second.inputs[set] = Int16(truncatingIfNeeded: first.stretched[set]) }
        second.predict(tables)
        var sum: Int32 = 0
        for set in 0..<second.setCount { sum += second.stretched[set] }
        return sum / Int32(second.setCount)
    }

    /// Learns the bit that was predicted.
    mutating func update(_ bit: UInt32) {
        first.update(bit)
        second.update(bit)
    }

    /// The first layer's outputs, stretched: for contexts of what follows.
    @inline(__always)
    func output(_ set: Int) -> Int32 { first.stretched[set] }
}

/// Sets of rows of weights over the same inputs.
struct MixerLayer {
    /// Inputs, padded with zeros to a multiple of 32.
    let inputs: UnsafeMutablePointer<Int16>
    let setCount: Int
    /// [setCount]: outputs.
    let stretched: UnsafeMutablePointer<Int32>
    private let width: Int
    private let weights: UnsafeMutablePointer<Int16>
    // [setCount]: where the rows of each set begin, and the row that is selected, both in rows.
    private let bases: UnsafeMutablePointer<Int>
    private let selected: UnsafeMutablePointer<Int>
    // [setCount]: where the selected rows are, in elements.
    private let rows: UnsafeMutablePointer<Int64>
    private let sums: UnsafeMutablePointer<Int32>
    private let probabilities: UnsafeMutablePointer<Int32>
    private let errors: UnsafeMutablePointer<Int16>
    // How often each row was trained.
    private let counts: UnsafeMutablePointer<UInt16>
    private let initialWeight: Int16
    private let ownWeights: [Int: Int16]
    private let realInputs: Int
    private let kernels: pith_mix_kernels
    // Learning rates by how often a row was trained, in steps of `rateStep`.
    private let rates: UnsafeMutablePointer<Int32>

    private static let rateSteps = 256
    private static let rateShift = 4

    init(
        inputCount: Int, sets: [Int], initialWeight: Int, ownWeights: [Int: Int16] = [:],
        rates: (high: Int, low: Int, half: Int), _ arena: Arena
    ) {
        width = (inputCount + 31) / 32 * 32
        realInputs = inputCount
        setCount = sets.count
        self.initialWeight = Int16(initialWeight)
        self.ownWeights = ownWeights
        inputs = arena.allocate(width)
        let rowCount = sets.reduce(0, +)
        weights = arena.allocate(rowCount * 2 * width)
        counts = arena.allocate(rowCount)
        bases = arena.copy(sets.indices.map { sets[..<$0].reduce(0, +) })
        selected = arena.allocate(setCount)
        rows = arena.allocate(setCount)
        sums = arena.allocate(setCount)
        stretched = arena.allocate(setCount)
        probabilities = arena.allocate(setCount)
        errors = arena.allocate(setCount)
        // From high to low, half of the way after `half` steps.
        self.rates = arena.copy(
            (0..<Self.rateSteps).map { step in
                Int32(rates.low + (rates.high - rates.low) * rates.half / (rates.half + step << Self.rateShift))
            })
        kernels = pith_mix_kernels_of(pith_path(UInt32(KernelPath.current.rawValue)))!.pointee
    }

    /// Selects a row of a set; a row that was never trained gets its first weights.
    @inline(__always)
    mutating func select(_ set: Int, _ row: Int) {
        let place = bases[set] &+ row
        selected[set] = place
        rows[set] = Int64(place &* 2 &* width)
        if counts[place] == 0 { begin(place) }
    }

    private mutating func begin(_ place: Int) {
        counts[place] = 1
        let row = weights + place * 2 * width
        for index in 0..<realInputs { row[index] = initialWeight }
        for (index, weight) in ownWeights { row[index] = weight }
    }

    /// Outputs of all sets.
    @inline(__always)
    mutating func predict(_ tables: MixTables) {
        kernels.dot(inputs, Int64(width), weights, rows, Int64(setCount), sums)
        for set in 0..<setCount {
            let value = min(max(sums[set] &>> 8, -Logistic.limit), Logistic.limit)
            stretched[set] = value
            probabilities[set] = tables.squash(value)
        }
    }

    /// Trains the selected rows.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        for set in 0..<setCount {
            let place = selected[set]
            let count = counts[place]
            let rate = rates[min(Int(count &>> UInt16(Self.rateShift)), Self.rateSteps &- 1)]
            if count < .max { counts[place] = count &+ 1 }
            let error = Int32(bit &<< 16) &- probabilities[set]
            let step = Int32(truncatingIfNeeded: (Int64(error) &* Int64(rate)) &>> 14)
            errors[set] = Int16(truncatingIfNeeded: min(max(step, -32767), 32767))
        }
        kernels.train(inputs, Int64(width), weights, rows, Int64(setCount), errors)
    }
}
