import PithCore
import PithTensor

// Blocks put together: what `GGUFBlocks.swift` takes apart.

extension UnsafeMutableRawPointer {
    fileprivate func put(_ word: UInt16, at offset: Int) {
        storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt16.self)
    }
    fileprivate func put(_ byte: UInt8, at offset: Int) { storeBytes(of: byte, toByteOffset: offset, as: UInt8.self) }
}

extension GGUFBlockPieces {
    /// Writes the lower four bits of codes: those of weight i beside those of weight i + `distance`.
    fileprivate func putNibbles(
        from place: Int, distance: Int, count: Int, _ block: UnsafeMutableRawPointer, at offset: Int
    ) {
        for i in 0..<count {
            block.put(codes[place + i] & 15 | codes[place + i + distance] << 4, at: offset + i)
        }
    }

    /// Writes the fifth bits of 32 codes, the first lowest.
    fileprivate func putFifthBits(_ block: UnsafeMutableRawPointer, at offset: Int) {
        for byte in 0..<4 {
            let bits = (0..<8).reduce(UInt8(0)) { $0 | (codes[byte * 8 + $1] >> 4 & 1) << UInt8($1) }
            block.put(bits, at: offset + byte)
        }
    }

    /// Writes two bits of all codes, from `shift` on: in each of two runs of 32 bytes those of four times 32 weights.
    fileprivate func putTwoBits(_ block: UnsafeMutableRawPointer, at offset: Int) {
        for i in 0..<64 {
            let first = i / 32 * 128 + i % 32
            let bits = (0..<4).reduce(UInt8(0)) { $0 | (codes[first + $1 * 32] & 3) << UInt8(2 * $1) }
            block.put(bits, at: offset + i)
        }
    }

    /// Writes scale, minimum and eight factors of each: what Q4_K and Q5_K begin with.
    fileprivate func putFactors(_ block: UnsafeMutableRawPointer) {
        block.put(halves[0], at: 0)
        block.put(halves[1], at: 2)
        for i in 0..<4 {
            block.put(factors[i] & 63 | (factors[i + 4] >> 4) << 6, at: 4 + i)
            block.put(minima[i] & 63 | (minima[i + 4] >> 4) << 6, at: 8 + i)
            block.put(factors[i + 4] & 15 | minima[i + 4] << 4, at: 12 + i)
        }
    }
}

extension GGUFType {
    /// Writes a block of what it is made of, as `form.split` would take it apart: `blockBytes` bytes. Codes must fit.
    package func join(_ pieces: GGUFBlockPieces, into block: UnsafeMutableRawPointer) {
        switch self {
        case .q40, .iq4NL:
            block.put(pieces.halves[0], at: 0)
            pieces.putNibbles(from: 0, distance: 16, count: 16, block, at: 2)
        case .q41:
            block.put(pieces.halves[0], at: 0)
            block.put(pieces.halves[1] ^ 0x8000, at: 2)
            pieces.putNibbles(from: 0, distance: 16, count: 16, block, at: 4)
        case .q50:
            block.put(pieces.halves[0], at: 0)
            pieces.putFifthBits(block, at: 2)
            pieces.putNibbles(from: 0, distance: 16, count: 16, block, at: 6)
        case .q51:
            block.put(pieces.halves[0], at: 0)
            block.put(pieces.halves[1] ^ 0x8000, at: 2)
            pieces.putFifthBits(block, at: 4)
            pieces.putNibbles(from: 0, distance: 16, count: 16, block, at: 8)
        case .q80:
            block.put(pieces.halves[0], at: 0)
            for i in 0..<32 { block.put(pieces.codes[i] ^ 128, at: 2 + i) }
        case .mxfp4:
            block.put(pieces.factors[0], at: 0)
            pieces.putNibbles(from: 0, distance: 16, count: 16, block, at: 1)
        case .q2K:
            for i in 0..<16 { block.put(pieces.factors[i], at: i) }
            pieces.putTwoBits(block, at: 16)
            block.put(pieces.halves[0], at: 80)
            block.put(pieces.halves[1], at: 82)
        case .q3K: joinQ3K(pieces, block)
        case .q4K:
            pieces.putFactors(block)
            for part in 0..<4 { pieces.putNibbles(from: 64 * part, distance: 32, count: 32, block, at: 16 + 32 * part) }
        case .q5K:
            pieces.putFactors(block)
            for i in 0..<32 {
                let bits = (0..<8).reduce(UInt8(0)) { $0 | (pieces.codes[i + 32 * $1] >> 4 & 1) << UInt8($1) }
                block.put(bits, at: 16 + i)
            }
            for part in 0..<4 { pieces.putNibbles(from: 64 * part, distance: 32, count: 32, block, at: 48 + 32 * part) }
        case .q6K: joinQ6K(pieces, block)
        case .iq4XS: joinIQ4XS(pieces, block)
        case .float32, .float16, .bfloat16, .float64, .int8, .int16, .int32, .int64, .q81, .q8K, .iq2XXS, .iq2XS,
            .iq3XXS, .iq1S, .iq3S, .iq2S, .iq1M, .tq10, .tq20:
            preconditionFailure("\(name) is not made of codes and scales here")
        }
    }

    private func joinQ3K(_ pieces: GGUFBlockPieces, _ block: UnsafeMutableRawPointer) {
        for i in 0..<32 {
            let bits = (0..<8).reduce(UInt8(0)) { $0 | (pieces.codes[i + 32 * $1] >> 2 & 1) << UInt8($1) }
            block.put(bits, at: i)
        }
        pieces.putTwoBits(block, at: 32)
        let factors = (0..<16).map { pieces.factors[$0] &+ 32 }
        for i in 0..<8 { block.put(factors[i] & 15 | factors[i + 8] << 4, at: 96 + i) }
        for i in 0..<4 {
            let bits = (0..<4).reduce(UInt8(0)) { $0 | (factors[i + 4 * $1] >> 4 & 3) << UInt8(2 * $1) }
            block.put(bits, at: 104 + i)
        }
        block.put(pieces.halves[0], at: 108)
    }

    private func joinQ6K(_ pieces: GGUFBlockPieces, _ block: UnsafeMutableRawPointer) {
        for half in 0..<2 {
            let first = half * 128
            pieces.putNibbles(from: first, distance: 64, count: 64, block, at: half * 64)
            for i in 0..<32 {
                let bits = (0..<4).reduce(UInt8(0)) { bits, part in
                    bits | (pieces.codes[first + i + 32 * part] >> 4 & 3) << UInt8(2 * part)
                }
                block.put(bits, at: 128 + half * 32 + i)
            }
        }
        for i in 0..<16 { block.put(pieces.factors[i], at: 192 + i) }
        block.put(pieces.halves[0], at: 208)
    }

    private func joinIQ4XS(_ pieces: GGUFBlockPieces, _ block: UnsafeMutableRawPointer) {
        let factors = (0..<8).map { pieces.factors[$0] &+ 32 }
        block.put(pieces.halves[0], at: 0)
        block.put((0..<8).reduce(UInt16(0)) { $0 | UInt16(factors[$1] >> 4 & 3) << UInt16(2 * $1) }, at: 2)
        for i in 0..<4 { block.put(factors[2 * i] & 15 | factors[2 * i + 1] << 4, at: 4 + i) }
        for i in 0..<8 { pieces.putNibbles(from: 32 * i, distance: 16, count: 16, block, at: 8 + 16 * i) }
    }
}
