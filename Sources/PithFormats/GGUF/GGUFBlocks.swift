import CPithKernels
import PithCore
import PithTensor

/// How codes become weights.
package struct CodeForm: Sendable {
    /// What beside the codes makes weights; `scale` and `minimum` are in half precision, one for each block.
    package enum Scaling: Sendable {
        /// (code − zero) · scale.
        case scale
        /// code · scale − minimum.
        case minimum
        /// code · scale · factor − minimum · factor of the minimum, both factors for 32 weights.
        case factorMinima
        /// The same for 16 weights, both factors in one byte, that of the scale in the lower four bits.
        case halfMinima
        /// (code − zero) · scale · factor, for 32 weights.
        case factors
        /// The same for 16 weights.
        case halfFactors
        /// (code − zero) · 2^(factor − 128).
        case exponent
    }

    /// What beside the codes makes weights.
    package let scaling: Scaling
    /// Bits of a code.
    package let bits: Int
    /// The code of the weight 0 where there are no minima.
    package let zero: Int
    /// What codes name; nil where they are numbers themselves.
    package let codebook: [Int8]?

    package init(_ scaling: Scaling, bits: Int, zero: Int = 0, codebook: [Int8]? = nil) {
        (self.scaling, self.bits, self.zero, self.codebook) = (scaling, bits, zero, codebook)
    }

    /// The weights of a block that was taken apart.
    func weights(_ pieces: GGUFBlockPieces, count: Int) -> [Float] {
        let scale = floatOfHalf(pieces.halves[0]), minimum = floatOfHalf(pieces.halves[1])
        return (0..<count).map { i in
            let name = pieces.codes[i]
            let code = codebook.map { Float($0[Int(name)]) } ?? Float(Int(name) - zero)
            let signed = Float(Int8(bitPattern: pieces.factors[scaling == .factors ? i / 32 : i / 16]))
            switch scaling {
            case .scale: return scale * code
            case .minimum: return scale * code - minimum
            case .factorMinima:
                return scale * Float(pieces.factors[i / 32]) * code - minimum * Float(pieces.minima[i / 32])
            case .halfMinima:
                let both = pieces.factors[i / 16]
                return scale * Float(both & 15) * code - minimum * Float(both >> 4)
            case .factors, .halfFactors: return scale * signed * code
            case .exponent: return Float(sign: .plus, exponent: Int(pieces.factors[0]) - 128, significand: 1) * code
            }
        }
    }
}

/// How the blocks of a type are made of codes and scales.
package struct GGUFBlockForm: Sendable {
    /// How their codes become weights.
    package let codes: CodeForm
    /// Takes the block at an address apart.
    package let split: @Sendable (UnsafeRawPointer, GGUFBlockPieces) -> Void

    package var scaling: CodeForm.Scaling { codes.scaling }
    package var bits: Int { codes.bits }
    package var zero: Int { codes.zero }
    package var codebook: [Int8]? { codes.codebook }

    init(
        _ scaling: CodeForm.Scaling = .scale, bits: Int, zero: Int = 0, codebook: [Int8]? = nil,
        split: @escaping @Sendable (UnsafeRawPointer, GGUFBlockPieces) -> Void
    ) {
        codes = CodeForm(scaling, bits: bits, zero: zero, codebook: codebook)
        self.split = split
    }
}

/// A block taken apart: where its codes and scales go. Plain pointers, for this is done for every block of a model.
package struct GGUFBlockPieces {
    /// Codes of a byte each, in the order of the weights: room for `length`.
    package var codes: UnsafeMutablePointer<UInt8>
    /// Factors of scales, up to 16: signed, unsigned, or two in a byte, as the scaling says.
    package let factors: UnsafeMutablePointer<UInt8>
    /// Factors of minima, up to 16.
    package let minima: UnsafeMutablePointer<UInt8>
    /// Scale and minimum in half precision; the minimum has the sign that lets it be taken away.
    package let halves: UnsafeMutablePointer<UInt16>

    /// Weights of the largest block.
    package static let length = 256

    /// Calls `body` with memory for blocks of so many rows: their codes lie `length` apart.
    package static func withPieces<Result>(rows: Int = 1, _ body: (GGUFBlockPieces) -> Result) -> Result {
        let count = rows * length + 32
        return withUnsafeTemporaryAllocation(byteCount: count + 4, alignment: 64) { memory in
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            let base = memory.baseAddress!
            let bytes = base.assumingMemoryBound(to: UInt8.self)
            return body(
                GGUFBlockPieces(
                    codes: bytes, factors: bytes + count - 32, minima: bytes + count - 16,
                    halves: (base + count).assumingMemoryBound(to: UInt16.self)))
        }
    }

    /// A block of zeros in the place of one that there is not.
    package func clear() {
        codes.update(repeating: 0, count: Self.length)
        factors.update(repeating: 0, count: 16)
        minima.update(repeating: 0, count: 16)
        halves.update(repeating: 0, count: 2)
    }

    /// Whether what beside the codes makes weights is finite.
    package func isFinite(_ scaling: CodeForm.Scaling) -> Bool {
        if scaling == .exponent { return factors[0] != 255 }
        return halves[0] & 0x7C00 != 0x7C00 && halves[1] & 0x7C00 != 0x7C00
    }

    /// Writes 16 codes.
    fileprivate func store(_ values: SIMD16<UInt8>, at place: Int) {
        UnsafeMutableRawPointer(codes + place).storeBytes(of: values, as: SIMD16<UInt8>.self)
    }

    /// Writes 32 codes of four bits that come as those of weight i beside those of weight i + `distance`, and adds
    /// `high` bits.
    fileprivate func storeNibbles(
        _ bytes: SIMD16<UInt8>, at place: Int, distance: Int, high: (SIMD16<UInt8>, SIMD16<UInt8>) = (.zero, .zero)
    ) {
        store(bytes & 15 | high.0, at: place)
        store(bytes &>> 4 | high.1, at: place + distance)
    }
}

/// The value of a number in half precision.
package func floatOfHalf(_ bits: UInt16) -> Float {
    var value: Float = 0
    withUnsafePointer(to: bits) { kernels.widen($0, PITH_F16, 1, &value) }
    return value
}

extension UnsafeRawPointer {
    fileprivate func word(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    fileprivate func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
    fileprivate func bytes(_ offset: Int) -> SIMD16<UInt8> {
        loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
    }
}

// MARK: Blocks of 32

// A scale, perhaps a minimum, which is added, perhaps the fifth bits of 32 codes, and the lower bits: weight i beside
// weight i + 16.

@Sendable func splitQ40(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(0)
    pieces.storeNibbles(block.bytes(2), at: 0, distance: 16)
}

@Sendable func splitQ41(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    (pieces.halves[0], pieces.halves[1]) = (block.word(0), block.word(2) ^ 0x8000)
    pieces.storeNibbles(block.bytes(4), at: 0, distance: 16)
}

@Sendable func splitQ50(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(0)
    pieces.storeNibbles(block.bytes(6), at: 0, distance: 16, high: fifthBits(block + 2))
}

@Sendable func splitQ51(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    (pieces.halves[0], pieces.halves[1]) = (block.word(0), block.word(2) ^ 0x8000)
    pieces.storeNibbles(block.bytes(8), at: 0, distance: 16, high: fifthBits(block + 4))
}

/// 32 bits, one for each weight in order, in the fifth place of as many bytes.
private func fifthBits(_ word: UnsafeRawPointer) -> (SIMD16<UInt8>, SIMD16<UInt8>) {
    func bits(_ offset: Int) -> SIMD16<UInt8> {
        let pair = SIMD2<UInt64>(spreadBits(word.byte(offset)), spreadBits(word.byte(offset + 1)))
        return unsafeBitCast(pair, to: SIMD16<UInt8>.self)
    }
    return (bits(0), bits(2))
}

/// The bits of a byte, the lowest first, in the fifth place of eight bytes: each byte of the product has all bits, of
/// which it keeps its own; adding 127 then carries whatever is there into the highest place.
private func spreadBits(_ byte: UInt8) -> UInt64 {
    let own = UInt64(byte) &* 0x0101_0101_0101_0101 & 0x8040_2010_0804_0201
    let carried = own & 0x7F7F_7F7F_7F7F_7F7F &+ 0x7F7F_7F7F_7F7F_7F7F | own
    return (carried >> 3 & 0x1010_1010_1010_1010).littleEndian
}

@Sendable func splitQ80(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(0)
    for i in 0..<2 { pieces.store(block.bytes(2 + 16 * i) ^ 128, at: 16 * i) }
}

@Sendable func splitMXFP4(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.factors[0] = block.byte(0)
    pieces.storeNibbles(block.bytes(1), at: 0, distance: 16)
}

// MARK: Blocks of 256

/// Both factors of 16 weights in a byte, then codes of two bits, then scale and minimum.
@Sendable func splitQ2K(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    (pieces.halves[0], pieces.halves[1]) = (block.word(80), block.word(82))
    UnsafeMutableRawPointer(pieces.factors).copyMemory(from: block, byteCount: 16)
    forTwoBits(block + 16) { bytes, shift, place in pieces.store(bytes &>> shift & 3, at: place) }
}

/// Two bits of all weights: in each of two runs of 32 bytes those of four times 32 weights, the first lowest.
private func forTwoBits(_ codes: UnsafeRawPointer, _ body: (SIMD16<UInt8>, UInt8, Int) -> Void) {
    for part in 0..<4 {
        let bytes = codes.bytes(16 * part)
        for i in 0..<4 { body(bytes, UInt8(2 * i), part / 2 * 128 + i * 32 + part % 2 * 16) }
    }
}

/// The third bits of codes, of weights that lie 32 apart in a byte; lower bits; factors of six bits; the scale.
@Sendable func splitQ3K(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(108)
    for i in 0..<16 {
        let low = i < 8 ? block.byte(96 + i) & 15 : block.byte(88 + i) >> 4
        let high = block.byte(104 + i % 4) >> UInt8(i / 4 * 2) & 3
        pieces.factors[i] = (low | high << 4) &- 32
    }
    let masks = [block.bytes(0), block.bytes(16)]
    forTwoBits(block + 32) { bytes, shift, place in
        let third = masks[place % 32 / 16] &>> UInt8(place / 32) & 1
        pieces.store(bytes &>> shift & 3 | third &<< 2, at: place)
    }
}

/// Scale and minimum, eight factors of each, and codes of which weight i lies beside weight i + 32.
@Sendable func splitQ4K(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    splitFactors(block, pieces)
    for part in 0..<8 {
        pieces.storeNibbles(block.bytes(16 + 16 * part), at: part / 2 * 64 + part % 2 * 16, distance: 32)
    }
}

/// The same with the fifth bits of codes before them: of weights that lie 32 apart in a byte.
@Sendable func splitQ5K(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    splitFactors(block, pieces)
    for part in 0..<8 {
        let (fifth, shift) = (block.bytes(16 + part % 2 * 16), UInt8(part / 2 * 2))
        pieces.storeNibbles(
            block.bytes(48 + 16 * part), at: part / 2 * 64 + part % 2 * 16, distance: 32,
            high: ((fifth &>> shift & 1) &<< 4, (fifth &>> (shift + 1) & 1) &<< 4))
    }
}

/// The first 16 bytes of Q4_K and Q5_K. The factors of the last four lie in four bits and in what the first leave free.
private func splitFactors(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    (pieces.halves[0], pieces.halves[1]) = (block.word(0), block.word(2))
    for i in 0..<4 {
        let (first, second, third) = (block.byte(4 + i), block.byte(8 + i), block.byte(12 + i))
        pieces.factors[i] = first & 63
        pieces.minima[i] = second & 63
        pieces.factors[i + 4] = third & 15 | (first >> 6) << 4
        pieces.minima[i + 4] = third >> 4 | (second >> 6) << 4
    }
}

/// Four bits of all codes, the two others, signed factors and the scale. Of each half, 128 weights, four bits of weight
/// i lie beside those of weight i + 64, two beside those of i + 32, i + 64 and i + 96.
@Sendable func splitQ6K(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(208)
    UnsafeMutableRawPointer(pieces.factors).copyMemory(from: block + 192, byteCount: 16)
    for half in 0..<2 {
        for part in 0..<4 {
            let (high, shift) = (block.bytes(128 + half * 32 + part % 2 * 16), UInt8(part / 2 * 2))
            pieces.storeNibbles(
                block.bytes(half * 64 + part * 16), at: half * 128 + part * 16, distance: 64,
                high: ((high &>> shift & 3) &<< 4, (high &>> (shift + 4) & 3) &<< 4))
        }
    }
}

/// The scale, the two upper bits of eight factors, their four lower bits, and codes as those of Q4_0.
@Sendable func splitIQ4XS(_ block: UnsafeRawPointer, _ pieces: GGUFBlockPieces) {
    pieces.halves[0] = block.word(0)
    let high = block.word(2)
    for i in 0..<8 {
        let low = block.byte(4 + i / 2) >> UInt8(i % 2 * 4) & 15
        pieces.factors[i] = (low | UInt8(high >> UInt16(2 * i) & 3) << 4) &- 32
        pieces.storeNibbles(block.bytes(8 + 16 * i), at: 32 * i, distance: 16)
    }
}
