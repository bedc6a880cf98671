import PithCoding

/// The model behind `midicoth`: a blend of models, split into a tree of bits, each denoised.
struct MicroDiffusion {
    private var blend: ByteBlend
    private var denoiser: TweedieDenoiser
    private var matchClass = 0

    /// A model; 0 steps leave the blend as it is.
    init(layers: ByteBlend.Layers, steps: Int) {
        blend = ByteBlend(layers: layers)
        denoiser = TweedieDenoiser(steps: steps)
    }

    /// Makes the next byte ready.
    mutating func beginByte() {
        blend.predict()
        matchClass = blend.matchLength < 10 ? 0 : blend.matchLength < 24 ? 1 : 2
    }

    /// The probability, of 2¹⁶, that the bit at `node` is 1.
    @inline(__always)
    mutating func probability(at node: Int) -> UInt32 {
        let (both, one) = (UInt64(blend.sums[node]), UInt64(blend.sums[2 * node + 1]))
        let blended = Int32(truncatingIfNeeded: (one << 22) / both)
        let evidence = TweedieDenoiser.Evidence(
            node: node, order: blend.knownOrder, confidence: blend.confidence, match: match(at: node),
            last: Int(blend.last))
        let denoised = denoiser.denoise(min(max(blended, 32), TweedieDenoiser.one - 32), evidence)
        return UInt32(min(max((denoised + 32) >> 6, 1), 65535))
    }

    /// Learns a bit.
    @inline(__always)
    mutating func learn(_ bit: Bool) { denoiser.update(bit) }

    /// Learns the whole byte.
    mutating func endByte(_ byte: UInt8) { blend.update(byte) }

    /// 0 if the match says nothing of the bit at `node`; else 1…3 by its length if it says 0, 4…6 if it says 1.
    private func match(at node: Int) -> Int {
        guard let matched = blend.matched else { return 0 }
        let path = Int(matched) | 256
        let depth = Int.bitWidth - 1 - node.leadingZeroBitCount
        guard path >> (8 - depth) == node else { return 0 }
        return 1 + matchClass + 3 * (path >> (7 - depth) & 1)
    }
}
