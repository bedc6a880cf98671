import Pith

/// Content that compressors stumble over, and damage.
enum Adversary {
    static func content(_ random: inout SeededGenerator, longest: Int) -> [UInt8] {
        let length = Int(random.next() % UInt64(longest + 1))
        let size = random.next() % 3 == 0 ? length % 16 : length
        var bytes: [UInt8] = []
        while bytes.count < size { bytes += piece(&random, size, bytes) }
        return Array(bytes.prefix(size))
    }

    private static func piece(_ random: inout SeededGenerator, _ size: Int, _ before: [UInt8]) -> [UInt8] {
        let length = 1 + Int(random.next() % UInt64(size))
        func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next()) }
        switch random.next() % 12 {
        case 0: return [UInt8](repeating: byte(), count: length)
        case 1: return (0..<length).map { _ in byte() }
        case 2: return (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        case 3:
            let period = [byte(), byte(), byte(), byte(), byte()].prefix(1 + Int(random.next() % 5))
            return (0..<length).map { period[$0 % period.count] }
        case 4: return (0..<length).map { _ in random.next() % 64 == 0 ? byte() : 0 }
        case 5:
            let words = ["the ", "of ", "and ", "model ", "bits,", "\n", "é", "日本", "<p>", "0,1,2\n"]
            return (0..<length / 4 + 1).flatMap { _ in Array(words[Int(random.next() % 10)].utf8) }
        case 6:
            // A copy from before, with an error now and then.
            guard !before.isEmpty else { return [byte()] }
            let start = Int(random.next() % UInt64(before.count))
            return before[start...].prefix(length).map { random.next() % 50 == 0 ? byte() : $0 }
        case 7:
            // The beginnings of formats that are looked into, with nonsense behind.
            let heads: [[UInt8]] = [
                Array("RIFF\u{10}\u{0}\u{0}\u{0}WAVEfmt ".utf8), Array("BM".utf8), Array("P6 3 5 255\n".utf8),
                Array("GGUF\u{3}\u{0}\u{0}\u{0}".utf8), [0, 0, 8, 3, 0, 0, 0, 1], [31, 139, 8, 0],
                [0x50, 0x5A, 0x41, 1],
                [48, 0, 0, 0, 0, 0, 0, 0] + Array("{\"a\":{\"dtype\":\"BF16\",\"shape\":[1],".utf8),
            ]
            return heads[Int(random.next() % 8)] + (0..<length).map { _ in byte() % 4 }
        case 8: return (0..<length).map { 128 &+ UInt8(truncatingIfNeeded: $0 * $0 / 64) }
        case 9: return (0..<length).flatMap { ["\($0),\(random.next() % 10),x\n"].flatMap { Array($0.utf8) } }
        case 10: return (0..<length).map { _ in random.next() % 2 == 0 ? 255 : 0 }
        default: return (0..<length).flatMap { i in [UInt8(truncatingIfNeeded: i >> 3), 0, 0, 63] }
        }
    }

    static func damage(_ archive: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = archive
        let place = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 5 {
        case 0: bytes[place] ^= 1 << UInt8(random.next() % 8)
        case 1: bytes = Array(bytes.prefix(place))
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        default: for i in place..<min(bytes.count, place + 9) { bytes[i] = UInt8(truncatingIfNeeded: random.next()) }
        }
        return bytes
    }
}
