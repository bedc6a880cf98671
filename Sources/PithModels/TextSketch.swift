import PithCore

/// A few fingerprints of a text, which tell later how much of another text is the same.
///
/// Of the hashes of all runs of 64 bytes those of least value: which runs these are depends on the text alone, so that
/// a passage that stands in two texts gives both the same ones. White space counts as one space, however much it is.
public struct TextSketch: Equatable, Sendable {
    /// The fingerprints, ascending.
    public let fingerprints: [UInt32]

    private static let runLength = 64
    /// The most fingerprints: of 128 kilobytes one for each 500 bytes.
    private static let size = 256
    private static let digits = 8

    /// The sketch of a text.
    public init(of text: String) {
        fingerprints = Array(Set(Self.hashes(of: text)).sorted().prefix(Self.size))
    }

    /// The share of `text` that also stands in the text of this sketch, estimated from some hundred places.
    public func share(of text: String) -> Double {
        guard let last = fingerprints.last else { return 0 }
        // A sketch that is not full has all runs of its text, the largest hashes too.
        let limit = fingerprints.count < Self.size ? UInt32.max : last
        let known = Set(fingerprints)
        let sample = Set(Self.hashes(of: text).filter { $0 <= limit })
        return sample.isEmpty ? 0 : Double(sample.count { known.contains($0) }) / Double(sample.count)
    }

    /// The hash of each run of 64 bytes, or of the whole text if it has no more.
    private static func hashes(of text: String) -> [UInt32] {
        let bytes = singleSpaced(text)
        guard !bytes.isEmpty else { return [] }
        // A polynomial in the bytes of a run, modulo 2⁶⁴: the next run takes one step.
        let base: UInt64 = 0x9E37_79B9_7F4A_7C15
        let length = min(runLength, bytes.count)
        var leading: UInt64 = 1
        for _ in 0..<length { leading = leading &* base }
        var (value, hashes) = (UInt64(0), [UInt32]())
        hashes.reserveCapacity(bytes.count - length + 1)
        for (place, byte) in bytes.enumerated() {
            value = value &* base &+ UInt64(byte) &+ 1
            if place >= length { value = value &- leading &* (UInt64(bytes[place - length]) &+ 1) }
            if place >= length - 1 { hashes.append(mixed(value)) }
        }
        return hashes
    }

    private static func singleSpaced(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            let isSpace = byte == 0x20 || (0x09...0x0D).contains(byte)
            if !isSpace { bytes.append(byte) } else if bytes.last != 0x20 { bytes.append(0x20) }
        }
        return bytes
    }

    /// Bits that depend on all bits of `value`: the finish of XXH64.
    private static func mixed(_ value: UInt64) -> UInt32 {
        var hash = (value ^ value >> 33) &* 0xC2B2_AE3D_27D4_EB4F
        hash = (hash ^ hash >> 29) &* 0x1656_67B1_9E37_79F9
        return UInt32(truncatingIfNeeded: hash >> 32)
    }
}

extension TextSketch {
    /// Eight hexadecimal digits for each fingerprint.
    var text: String {
        fingerprints.map { value in
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: Self.digits - digits.count) + digits
        }.joined()
    }

    /// The sketch that `text` writes out; nil if it is none.
    init?(text: String) {
        let digits = Array(text.utf8)
        guard digits.count % Self.digits == 0, digits.count / Self.digits <= Self.size else { return nil }
        var values: [UInt32] = []
        for start in stride(from: 0, to: digits.count, by: Self.digits) {
            let word = String(decoding: digits[start..<start + Self.digits], as: UTF8.self)
            guard let value = UInt32(word, radix: 16), values.last ?? 0 <= value else { return nil }
            values.append(value)
        }
        fingerprints = values
    }
}
