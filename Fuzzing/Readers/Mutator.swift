import PithTensor

/// Damages files in ways that transfers, disks and malice do, the same ways for the same seed.
public struct Mutator {
    private var generator: SeededGenerator

    mutating func index(below count: Int) -> Int { generator.index(below: count) }

    /// The damage of a seed.
    public init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// A damaged copy of a binary file.
    public mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...generator.index(below: 3) {
            if result.isEmpty { break }
            let place = generator.index(below: result.count)
            let length = min(1 + generator.index(below: 16), result.count - place)
            switch generator.index(below: 7) {
            case 0: result.removeLast(result.count - place)
            case 1: result[place] ^= 1 << UInt8(generator.index(below: 8))
            case 2: result[place] = UInt8(truncatingIfNeeded: generator.next())
            case 3: result.removeSubrange(place..<place + length)
            case 4: result.insert(contentsOf: result[place..<place + length], at: place)
            case 5:
                result.insert(contentsOf: (0..<length).map { UInt8(truncatingIfNeeded: 17 * $0 + place) }, at: place)
            default:
                // A whole word, where sizes stand.
                let words: [UInt32] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x0100_0000]
                let word = words[generator.index(below: words.count)]
                let start = place / 4 * 4
                for i in 0..<min(4, result.count - start) {
                    result[start + i] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(i)))
                }
            }
        }
        return result
    }

    /// A copy of a JSON text that is JSON still, but does not mean what it should.
    public mutating func lying(_ bytes: [UInt8]) -> [UInt8] {
        let starts = bytes.indices.filter { i in
            Self.isScalar(bytes[i]) && (i == 0 || !Self.isScalar(bytes[i - 1]))
        }
        guard !starts.isEmpty else { return damaged(bytes) }
        var result = bytes
        let place = starts[generator.index(below: starts.count)]
        let end = bytes[place...].firstIndex { !Self.isScalar($0) } ?? bytes.count
        let lies = [
            "-1", "0", "1", "2", "3", "7", "9223372036854775807", "18446744073709551616", "-9223372036854775808",
            "1e308", "0.5", "16777217", "4294967296", "null", "true", "false", "\"\"", "\"x\"", "[]", "{}", "[[]]",
        ]
        result.replaceSubrange(place..<end, with: Array(lies[generator.index(below: lies.count)].utf8))
        return result
    }

    /// Digits, signs and words, which in JSON text are numbers and constants, or parts of texts.
    private static func isScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }
}
