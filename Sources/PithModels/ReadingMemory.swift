import CPithKernels
import PithCore

extension LanguageModel {
    /// Bytes of memory that reading takes: `counts[s]` tokens of each sequence at once, behind `positions[s]` that were
    /// read before, through so many layers, and rows of logits. All follow from numbers that people or files gave.
    ///
    /// `areShared` says that the sequences have their beginning in common, which is copied where they go on.
    public func memory(
        reading counts: [Int], behind positions: [Int]? = nil, areShared: Bool = false, layers: Int? = nil,
        logits: Int = 0
    ) -> Int {
        let (c, segment) = (configuration, Int(PITH_SEGMENT))
        var kept = 0
        for (index, count) in counts.enumerated() {
            let position = positions?[index] ?? 0
            let first = areShared ? position / segment : (position + segment - 1) / segment
            kept += ((position + count + segment - 1) / segment - first) * segment
        }
        let keyWidth = c.keyValueHeadCount * c.headDimension
        let queryWidth = c.headCount * c.headDimension
        // Hidden states before and behind the last normalisation, the buffers of a pass, and the inputs of matrices in
        // narrower forms.
        let row =
            4 * (4 * c.hiddenSize + 2 * queryWidth + 2 * keyWidth + 2 * c.intermediateSize + c.headDimension)
            + 5 * max(c.hiddenSize, queryWidth, c.intermediateSize)
        // States are kept twice while a pass runs, so that an error finds back.
        let states = description.states.reduce(0.0) { $0 + $1.reduce(8) { $0 * Double($1) } }
        // In floating point, since no product of such numbers may trap.
        let caches = description.caches
        let perPosition = caches.reduce(0) { $0 + cache.bitsPerPosition($1) / 8 }
        let share = Double(layers ?? description.layers.count) / Double(max(1, description.layers.count))
        let bytes =
            Double(counts.count) * states + Double(counts.reduce(0, +)) * Double(4 * description.recurrentRowWidth)
            + share * Double(kept) * Double(perPosition) + Double(counts.reduce(0, +)) * Double(row) + Double(logits)
            * Double(4 * c.vocabularySize)
        return Int(min(bytes, 0x1p62))
    }

    /// Throws if there is not that memory.
    public func requireMemory(
        reading counts: [Int], behind positions: [Int]? = nil, areShared: Bool = false, logits: Int = 0
    ) throws(PithError) {
        let bytes = memory(reading: counts, behind: positions, areShared: areShared, logits: logits)
        // What is small is not worth the asking: another takes it before it is used.
        guard bytes > 1 << 24 else { return }
        let what = counts.count == 1 ? "\(counts[0]) tokens" : "\(counts.reduce(0, +)) tokens of \(counts.count) texts"
        try Memory.require(bytes, for: "what the model makes of \(what), keys, values and logits included")
    }
}
