import PithCoding

/// Undoes the shrinkage of predicted bits in several steps, each learnt on line.
///
/// A smoothed prediction p̂ is the true θ under noise. By Tweedie's formula the posterior mean is the observation plus
/// the noise's variance times the score: E[θ | p̂] = p̂ + δ. Each step estimates δ = E[bit] − E[p̂] over the bits that
/// fell into the same cell, adds it, and hands what noise is left to the next step, whose cells are finer. A δ that
/// does not stand out from its own error, δ² · n < 4 · E[(bit − p̂)²], is shrunk in proportion.
package struct TweedieDenoiser {
    /// What is known of a bit: its node in the byte's tree and the evidence behind the prediction.
    package struct Evidence {
        /// 1…255, the highest bit first.
        var node: Int
        /// 0…8: the longest known context.
        var order: Int
        /// 0…7: how often that context was seen.
        var confidence: Int
        /// 0: no match; 1…3: a short, middle or long one says 0; 4…6: the same says 1.
        var match: Int
        /// The byte before.
        var last: Int

        /// What is known of a bit.
        package init(node: Int, order: Int, confidence: Int, match: Int, last: Int) {
            self.node = node
            self.order = order
            self.confidence = confidence
            self.match = match
            self.last = last
        }
    }

    /// Probabilities have 22 bits.
    package static let one: Int32 = 1 << 22
    private static let bins = 24
    private static let binWidth = 2 * Logistic.limit / Int32(bins - 1) + 1

    private struct Cell {
        /// The mean of bit − p̂, of 2²².
        var bias: Int32 = 0
        /// The mean of its square, of 2²².
        var variance: Int32 = 1 << 18
        var count: Int32 = 0
    }

    // For each step, its cells in rows of `bins`, and where the row of each context begins; rows are made when needed.
    private var tables: [[Cell]]
    private var rows: [[Int32]]
    // For each step, the lower of the two cells between which its prediction lies, and that prediction.
    private var places: [Int]
    private var inputs: [Int32]
    private static let contexts = [7 * 8 * 9 * 8, 256 * 8 * 7, 1 << 16]
    private static let countLimit: Int32 = 1023
    /// Each cell begins as if it had seen so many bits without error.
    private static let prior: Int32 = 6
    /// How far a correction must stand out from its error, squared, to be believed in full.
    private static let strictness: Int64 = 4

    /// A denoiser of `steps` steps, at most 3.
    package init(steps: Int) {
        tables = Array(repeating: [], count: steps)
        rows = (0..<steps).map { [Int32](repeating: -1, count: Self.contexts[$0]) }
        places = Array(repeating: 0, count: steps)
        inputs = Array(repeating: 0, count: steps)
    }

    private static func context(_ evidence: Evidence, step: Int) -> Int {
        let depth = Int.bitWidth - 1 - evidence.node.leadingZeroBitCount
        switch step {
        case 0: return ((depth * 9 + evidence.order) * 8 + evidence.confidence) * 7 + evidence.match
        case 1: return (evidence.node * 8 + evidence.order * 7 / 8) * 7 + evidence.match
        default: return evidence.last << 8 | evidence.node
        }
    }

    private mutating func row(of context: Int, step: Int) -> Int {
        if rows[step][context] >= 0 { return Int(rows[step][context]) }
        let row = tables[step].count
        tables[step].append(contentsOf: repeatElement(Cell(), count: Self.bins))
        rows[step][context] = Int32(row)
        return row
    }

    /// About how many bytes are needed for `count` bytes of input.
    package static func memory(for count: Int) -> Int {
        let all = contexts.reduce(0, +)
        return 4 * all + min(all, 3 * 8 * min(count, all)) * bins * MemoryLayout<Cell>.stride
    }

    /// The probability of 1, of 2²², after all steps.
    package mutating func denoise(_ probability: Int32, _ evidence: Evidence) -> Int32 {
        var p = probability
        for step in tables.indices {
            inputs[step] = p
            let stretched = Logistic.stretch(UInt32(min(max(p >> 6, 1), 65535))) + Logistic.limit
            let (bin, fraction) = (Int(stretched / Self.binWidth), stretched % Self.binWidth)
            let low = row(of: Self.context(evidence, step: step), step: step) + bin
            places[step] = low
            let (a, b) = (Self.score(tables[step][low]), Self.score(tables[step][low + 1]))
            let delta = (Int64(a) * Int64(Self.binWidth - fraction) + Int64(b) * Int64(fraction)) / Int64(Self.binWidth)
            p = min(max(p + Int32(truncatingIfNeeded: delta), 32), Self.one - 32)
        }
        return p
    }

    /// Learns the bit: what each step should have added.
    package mutating func update(_ bit: Bool) {
        for step in tables.indices {
            let error = (bit ? Self.one : 0) - inputs[step]
            Self.learn(error, &tables[step][places[step]])
            Self.learn(error, &tables[step][places[step] + 1])
        }
    }

    @inline(__always)
    private static func learn(_ error: Int32, _ cell: inout Cell) {
        let share = cell.count + prior
        cell.bias += (error - cell.bias) / share
        cell.variance += (Int32(truncatingIfNeeded: Int64(error) * Int64(error) >> 22) - cell.variance) / share
        cell.count = min(cell.count + 1, countLimit)
    }

    /// δ of a cell, shrunk where it may be chance.
    @inline(__always)
    private static func score(_ cell: Cell) -> Int32 {
        let signal = (Int64(cell.bias) * Int64(cell.bias) >> 10) * Int64(cell.count)
        let noise = strictness * Int64(cell.variance + 1) << 12
        return signal >= noise ? cell.bias : Int32(truncatingIfNeeded: Int64(cell.bias) * signal / noise)
    }
}
