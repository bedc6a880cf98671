import PithCoding
import PithCore

/// Cells of text, byte by byte: contexts of one to five bytes, the word, and the last place where the same bytes
/// stood, mixed bit by bit. All text of a table shares one model, so a cell can repeat what another column said.
struct CellText {
    /// The byte behind each cell: one that no cell contains.
    let terminator: UInt8

    private var history: [UInt8] = []
    private var contexts: HashedContexts
    /// Where the last four bytes stood last, and where their repetition would go on; 0 is nowhere.
    private var places: [Int32]
    private var match = 0
    private var matchLength = 0
    private var matchModel = [AdaptiveBit](repeating: AdaptiveBit(), count: 64)
    private var mixer: LogisticMixer
    private var refinement = AdaptiveProbabilityMap(contexts: 256)
    private var word: UInt64 = 0

    /// A model for about `count` bytes.
    init(terminator: UInt8, expecting count: Int) {
        self.terminator = terminator
        let bits = min(max(12, Int.bitWidth - (count * 16).leadingZeroBitCount), 22)
        let usual = AdaptiveBit.defaultLimit
        contexts = HashedContexts(bits: bits, limits: (usual, usual, 127, 127, 127, 127, 127))
        places = [Int32](repeating: 0, count: 1 << max(8, bits - 4))
        mixer = LogisticMixer(inputs: HashedContexts.count + 1, sets: 256, weight: 1 << 14, rate: 6)
    }

    /// Codes a cell of `column`; `budget` is how many bytes more there may be.
    mutating func code<Port: BitPort>(
        _ cell: [UInt8], column: Int, budget: inout Int, _ port: inout Port
    ) throws(PithError) -> [UInt8] {
        var result: [UInt8] = []
        while true {
            let byte = try code(
                byte: result.count < cell.count ? cell[result.count] : terminator, column: column,
                position: result.count,
                &port)
            if byte == terminator { return result }
            budget -= 1
            guard budget >= 0 else { throw .invalidStream("more text than the table has") }
            result.append(byte)
        }
    }

    private mutating func code<Port: BitPort>(
        byte: UInt8, column: Int, position: Int, _ port: inout Port
    ) throws(PithError) -> UInt8 {
        var recent: UInt64 = 0
        for byte in history.suffix(8) { recent = recent << 8 | UInt64(byte) }
        let columnMark = UInt64(column &+ 1) &* 0x9E37_79B9
        let hashes = (
            columnMark &+ UInt64(min(position, 12)), hash(1, recent & 0xFF &+ columnMark << 16),
            hash(2, recent & 0xFFFF &+ columnMark << 20), hash(3, recent & 0xFF_FFFF), hash(4, recent & 0xFFFF_FFFF),
            hash(5, recent & 0xFF_FFFF_FFFF), hash(6, word &+ columnMark)
        )
        var node = 1
        let expected = match > 0 ? Int(history[match]) | 256 : 0
        for bitPlace in (0..<8).reversed() {
            let bit = byte >> UInt8(bitPlace) & 1 == 1
            let places = contexts.places(of: hashes, node: node)
            let agrees = expected != 0 && expected >> (bitPlace + 1) == node
            let expectedBit = expected >> bitPlace & 1 == 1
            let matchSlot = min(matchLength, 15) + (expectedBit ? 16 : 0)
            contexts.predict(places, into: &mixer)
            mixer.setInput(
                HashedContexts.count, stretched: agrees ? Logistic.stretch(matchModel[matchSlot].probability) : 0)
            let stretched = mixer.mix(set: agrees ? 1 + min(matchLength, 15) : 0)
            let refined = refinement.refine(stretched: stretched, context: node)
            let coded = try port.code(bit, probability: min(max((Logistic.squash(stretched) + refined) / 2, 1), 65535))
            mixer.update(coded)
            refinement.update(coded)
            contexts.update(places, coded)
            if agrees { matchModel[matchSlot].update(coded) }
            node = node << 1 | (coded ? 1 : 0)
        }
        let coded = UInt8(truncatingIfNeeded: node)
        note(coded)
        return coded
    }

    private mutating func note(_ byte: UInt8) {
        history.append(byte)
        let isLetter = (byte | 32) &- 97 < 26 || byte >= 128
        word = isLetter ? hash(word, UInt64(byte | 32)) : 0
        if match > 0, history[match] == byte {
            match += 1
            matchLength += 1
        } else {
            (match, matchLength) = (0, 0)
        }
        guard history.count >= 4 else { return }
        var last: UInt32 = 0
        for byte in history.suffix(4) { last = last << 8 | UInt32(byte) }
        let slot = Int((last &* 0x9E37_79B1) >> 4) & (places.count - 1)
        if match == 0 { match = Int(places[slot]) }
        places[slot] = Int32(truncatingIfNeeded: history.count)
    }
}
