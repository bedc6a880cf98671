import PithCoding
import PithCore

/// Micro-diffusion: a blend of on-line models whose predicted bits are denoised before they are coded.
struct Midicoth: DataMethod {
    static let layers = MethodOption.text(
        "layers", "ppm-match-word-high-denoise", form: "names joined by '-'", "the models that take part")
    static let steps = MethodOption.integer("steps", 3, in: 1...3, "denoising steps")

    static let entry = MethodEntry(
        identifier: "midicoth",
        paper: Paper(
            "Micro-Diffusion Compression -- Binary Tree Tweedie Denoising for Online Probability Estimation", 2026,
            identifier: "midicoth"),
        summary: "contexts, words and matches blended; each bit denoised by Tweedie corrections learnt on line",
        options: [layers, steps])

    private let layers: ByteBlend.Layers
    private let steps: Int

    init(_ options: OptionValues) throws(PithError) {
        let names: [String: ByteBlend.Layers] = ["ppm": .ppm, "match": .match, "word": .word, "high": .high]
        var (layers, denoises) = (ByteBlend.Layers(), false)
        for name in options[Self.layers].split(separator: "-", omittingEmptySubsequences: false) {
            if name == "denoise" {
                denoises = true
            } else if let layer = names[String(name)] {
                layers.insert(layer)
            } else {
                throw .usage(
                    "'\(name)' is no layer", at: "method midicoth", remedy: "there are ppm, match, word, high, denoise")
            }
        }
        self.layers = layers
        steps = denoises ? options[Self.steps] : 0
    }

    func memory(for count: Int, _ context: CodingContext) -> Int {
        ContextCounts.memory(for: count, kinds: 8) + 10 * count + TweedieDenoiser.memory(for: count)
    }

    func encode(_ input: [UInt8], _ context: CodingContext) -> [UInt8] {
        var (model, encoder) = (MicroDiffusion(layers: layers, steps: steps), RangeEncoder())
        for (offset, byte) in input.enumerated() {
            var bits = 0.0
            model.beginByte()
            var node = 1
            for shift in (0..<8).reversed() {
                let bit = byte >> UInt8(shift) & 1 == 1
                let probability = model.probability(at: node)
                encoder.encode(bit, probability: probability)
                if context.trace != nil {
                    bits += FixedPoint.idealBits(of: UInt64(bit ? probability : 65536 - probability))
                }
                model.learn(bit)
                node = 2 * node + (bit ? 1 : 0)
            }
            model.endByte(byte)
            context.trace?.add(bits: bits, at: offset)
            if offset & 4095 == 4095 { context.advance(4096) }
        }
        context.advance(input.count & 4095)
        return encoder.finish()
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        var decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
        var model = MicroDiffusion(layers: layers, steps: steps)
        for offset in 0..<count {
            model.beginByte()
            var node = 1
            for _ in 0..<8 {
                let bit = try decoder.decode(probability: model.probability(at: node))
                model.learn(bit)
                node = 2 * node + (bit ? 1 : 0)
            }
            let byte = UInt8(truncatingIfNeeded: node)
            model.endByte(byte)
            output.append(byte)
            if offset & 4095 == 4095 { context.advance(4096) }
        }
        context.advance(count & 4095)
    }
}
