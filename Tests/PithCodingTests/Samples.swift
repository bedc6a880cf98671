import Foundation
import PithCoding
import PithTensor

/// Bytes to code, of many kinds.
enum Samples {
    /// Short and long, plain and awkward, by name.
    static let all: [(name: String, bytes: [UInt8])] = [
        ("empty", []),
        ("one byte", [7]),
        ("two bytes", [0, 255]),
        ("all equal", [UInt8](repeating: 200, count: 5000)),
        ("a gigantic run", [UInt8](repeating: 0, count: 1_000_000) + [1]),
        ("all bytes once", (0...255).map { UInt8($0) }),
        ("all bytes backwards, often", (0..<4096).map { UInt8(255 - $0 & 255) }),
        ("uniform", uniform(10007)),
        ("skewed", geometric(50021, ratio: 0.98)),
        ("like exponents", geometric(65536, ratio: 0.55)),
        ("nearly always the same", geometric(30000, ratio: 0.0005)),
        ("doubling", (0..<14).flatMap { [UInt8](repeating: UInt8($0), count: 1 << $0) }),
    ]

    static func uniform(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// Byte b with a probability that falls by `ratio` from one to the next.
    static func geometric(_ count: Int, ratio: Float, seed: UInt64 = 2) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            var byte = 0
            while byte < 255 && random.uniform() < ratio { byte += 1 }
            return UInt8(byte)
        }
    }

    static func counts(_ bytes: [UInt8]) -> [Int] {
        var counts = [Int](repeating: 0, count: 256)
        for byte in bytes { counts[Int(byte)] += 1 }
        return counts
    }

    /// The ideal length of the bytes in bits, each coded by its share of all.
    static func idealBits(_ bytes: [UInt8]) -> Double {
        counts(bytes).reduce(0) { $1 == 0 ? $0 : $0 + Double($1) * log2(Double(bytes.count) / Double($1)) }
    }

    /// Copies of a stream that are cut, changed, or not streams at all.
    static func damaged(_ stream: [UInt8], copies: Int, seed: UInt64) -> [[UInt8]] {
        var random = SeededGenerator(seed: seed)
        return (0..<copies).map { copy in
            var bytes = stream
            switch copy % 4 {
            case 0: bytes.removeLast(bytes.isEmpty ? 0 : 1 + random.index(below: bytes.count))
            case 1 where !bytes.isEmpty:
                for _ in 0...random.index(below: 4) {
                    bytes[random.index(below: bytes.count)] ^= 1 << UInt8(random.index(below: 8))
                }
            case 2: bytes = uniform(random.index(below: 64), seed: random.next())
            default: bytes += uniform(1 + random.index(below: 9), seed: random.next())
            }
            return bytes
        }
    }
}
