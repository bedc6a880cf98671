import PithCoding

/// The stages of secondary estimation behind the mixer, and their average.
struct RefinementStage {
    private var partial: Refinement
    private var orderOne: Refinement
    private var orderTwo: Refinement
    private var orderThree: Refinement
    private var match: Refinement
    private var outside: Refinement
    private let bits: Int
    private let tables: MixTables

    init(bits: Int, _ tables: MixTables, _ arena: Arena) {
        self.bits = bits
        self.tables = tables
        partial = Refinement(contexts: 256, rate: 7, arena)
        orderOne = Refinement(contexts: 1 << 16, rate: 6, arena)
        orderTwo = Refinement(contexts: 1 << bits, rate: 6, arena)
        orderThree = Refinement(contexts: 1 << bits, rate: 6, arena)
        match = Refinement(contexts: 256 * 16 * 3, rate: 6, arena)
        outside = Refinement(contexts: 32 * 33, rate: 6, arena)
    }

    private func place(_ bytes: UInt64, _ partial: Int) -> Int {
        Int(Hash.combine(bytes, UInt64(partial)) >> UInt64(64 - bits))
    }

    /// The final probability of 2¹⁶, in 1..<2¹⁶.
    @inline(__always)
    mutating func refine(
        _ stretched: Int32, _ history: History, _ matches: MatchModels, _ external: ExternalInput
    ) -> Int32 {
        let mixed = tables.squash(stretched)
        let best = matches.best
        let low = history.partial
        let a = partial.refine(stretched, low)
        let b = orderOne.refine(stretched, Int(history.last & 255) << 8 | low)
        let c = orderTwo.refine(stretched, place(history.lastBytes(2), low))
        let d = orderThree.refine(stretched, place(history.lastBytes(3), low))
        let e = match.refine(stretched, ((best.expectation ?? 0) * 16 + best.strength) * 3 + best.bit)
        let f = outside.refine(stretched, external.rowClass * 33 + Int((external.stretched + 2048) >> 7))
        // The stage of the external predictor says nothing without one.
        let outer = external.rowClass > 0 ? f : mixed
        let sum = 4 &* mixed &+ a &+ 4 &* b &+ 2 &* c &+ 2 &* d &+ e &+ 2 &* outer
        return min(max(sum >> 4, 1), 65535)
    }

    @inline(__always)
    mutating func update(_ bit: UInt32) {
        partial.update(bit)
        orderOne.update(bit)
        orderTwo.update(bit)
        orderThree.update(bit)
        match.update(bit)
        outside.update(bit)
    }
}
