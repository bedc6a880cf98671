import CPithKernels

/// Mixes predictions in the logistic domain: a few small contexts choose a set of weights each, and a last mixer
/// weighs the results of those.
///
/// Weights have 28 bits behind the point in 32, of which a mixture reads the highest 16.
struct LeanMixer {
    /// The predictions: `inputCount` stretched values.
    let inputs: UnsafeMutablePointer<Int16>
    private let weights: UnsafeMutablePointer<Int32>  // [all sets, inputCount]
    private let firsts: UnsafeMutablePointer<Int>  // [choices]: where the sets of a choice begin
    private let chosen: UnsafeMutablePointer<Int>  // [choices]: where the chosen set begins
    private let outputs: UnsafeMutablePointer<Int32>  // [choices], stretched
    private let finalWeights: UnsafeMutablePointer<Int32>  // [finalSets, choices], 16 bits behind the point
    private var finalBase = 0
    private var finalOutput: UInt32 = 1 << 15
    private let tables: LeanTablePointers
    /// How fast the weights learn, now and in the end.
    private var rate: Int32 = 0
    private let lastRate: Int32
    /// The same of the last mixer.
    private static let finalRate: Int32 = 4

    /// The number of predictions, a multiple of 8. It is known to the compiler, which then unrolls its loops.
    static let inputCount = 16
    /// How many sets are chosen at once.
    static let choices = 3
    /// The number of sets of the last mixer.
    static let finalSets = 256

    /// The bytes that a mixer takes of an arena.
    static func byteCount(sets: [Int]) -> Int {
        LeanArena.size(Int16.self, inputCount) + LeanArena.size(Int32.self, inputCount * sets.reduce(0, +))
            + 2 * LeanArena.size(Int.self, sets.count) + LeanArena.size(Int32.self, sets.count)
            + LeanArena.size(Int32.self, finalSets * sets.count)
    }

    /// A mixer whose weights begin at `weight` of 2¹⁶, with `sets[i]` sets to choose from for choice i. `rate` is how
    /// fast they learn in the end.
    init(sets: [Int], weight: Int32, rate: Int32, tables: LeanTablePointers, arena: LeanArena) {
        self.tables = tables
        lastRate = rate
        inputs = arena.take(Int16.self, Self.inputCount)
        weights = arena.take(Int32.self, Self.inputCount * sets.reduce(0, +))
        weights.update(repeating: weight << 12, count: Self.inputCount * sets.reduce(0, +))
        firsts = arena.take(Int.self, sets.count)
        chosen = arena.take(Int.self, sets.count)
        outputs = arena.take(Int32.self, sets.count)
        finalWeights = arena.take(Int32.self, Self.finalSets * sets.count)
        finalWeights.update(repeating: Int32(65536 / sets.count), count: Self.finalSets * sets.count)
        var first = 0
        for (choice, count) in sets.enumerated() {
            firsts[choice] = first * Self.inputCount
            first += count
        }
        settle(after: 0)
    }

    /// Chooses a set of weights for the next bit; `set` is below the number of sets of that choice.
    @inline(__always)
    func choose(_ choice: Int, set: Int) { chosen[choice] = firsts[choice] &+ set &* Self.inputCount }

    /// The mixed prediction of the next bit, stretched; `finalSet` chooses among the last mixer's sets.
    @inline(__always)
    mutating func mix(finalSet: Int) -> Int32 {
        finalBase = finalSet &* Self.choices
        var sum: Int64 = 0
        for choice in 0..<Self.choices {
            let dot = pith_lean_dot(inputs, weights + chosen[choice], Int64(Self.inputCount)) >> 12
            let output = min(max(dot, -LeanTables.limit), LeanTables.limit)
            outputs[choice] = output
            sum &+= Int64(output) &* Int64(finalWeights[finalBase &+ choice])
        }
        let limit = Int64(LeanTables.mixedLimit)
        let mixed = Int32(truncatingIfNeeded: min(max(sum &>> 16, -limit), limit))
        finalOutput = tables.squash(mixed)
        return mixed
    }

    /// Learns the bit that `mix` predicted.
    @inline(__always)
    func update(_ bit: Int) {
        let target: Int32 = bit == 1 ? 65535 : 0
        let finalError = Int64((target &- Int32(finalOutput)) &* Self.finalRate)
        for choice in 0..<Self.choices {
            let error = ((target &- Int32(tables.squash(outputs[choice]))) &* rate) &>> 10
            let step = (Int64(outputs[choice]) &* finalError &+ (1 &<< 19)) &>> 20
            finalWeights[finalBase &+ choice] &+= Int32(truncatingIfNeeded: step)
            pith_lean_train(
                inputs, weights + chosen[choice], Int64(Self.inputCount), Int16(truncatingIfNeeded: error))
        }
    }

    /// Slows learning down after `count` bytes: at first weights must find their size, later they should keep still.
    mutating func settle(after count: Int) {
        rate = lastRate &+ Int32(truncatingIfNeeded: 64 * 2048 / (2048 &+ count))
    }
}
