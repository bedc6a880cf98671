import PithCore
import PithFormats

/// Cuts bytes into windows that each take the same number of bits under arithmetic coding by a byte model, so that a
/// window is one token of fixed width (Equal-Info Windows).
///
/// A window begins with an empty context and the whole interval 0..<2^`bits`. Each byte narrows the interval to its
/// share. Where the interval finds no room for the next byte, the window ends and both the interval and the context
/// begin anew: the text of a window depends on its number alone.
///
/// Within an interval the first number says that the window ends there, the others are divided among the bytes. At the
/// beginning every byte has at least one number, so that a window is never empty and any bytes can be coded.
public struct EqualInfoWindows: Sendable {
    /// The permitted numbers of bits of a window.
    public static let bitsRange = 8...24
    /// No window has more bytes, however predictable they are.
    static let longestWindow = 255

    /// What predicts.
    public let model: ByteContextModel
    /// Bits of a window.
    public let bits: Int

    /// Windows of `bits` bits.
    public init(model: ByteContextModel, bits: Int = 16) throws(PithError) {
        guard Self.bitsRange.contains(bits) else {
            throw .usage(
                "windows of \(bits) bits",
                remedy: "there should be \(Self.bitsRange.lowerBound)…\(Self.bitsRange.upperBound)")
        }
        (self.model, self.bits) = (model, bits)
    }

    /// The windows of some bytes, each below 2^`bits`.
    public func encode(_ bytes: [UInt8]) -> [UInt32] {
        var (windows, shares) = ([UInt32](), [UInt32](repeating: 0, count: 256))
        var window = Window(bits: bits)
        for byte in bytes {
            if let narrowed = window.firstPart(model, &shares, where: { other, _ in other == byte }) {
                window = narrowed
                continue
            }
            windows.append(window.low)
            // An empty window has room for every byte.
            window = Window(bits: bits)
            if let first = window.firstPart(model, &shares, where: { other, _ in other == byte }) { window = first }
        }
        if !window.isEmpty { windows.append(window.low) }
        return windows
    }

    /// The bytes of some windows.
    public func decode(_ windows: [UInt32]) throws(PithError) -> [UInt8] {
        var (bytes, shares) = ([UInt8](), [UInt32](repeating: 0, count: 256))
        for number in windows {
            guard number >> UInt32(bits) == 0 else {
                throw .data("the window \(number) has more than \(bits) bits")
            }
            var window = Window(bits: bits)
            while window.isEmpty || window.low != number {
                let part = window.firstPart(model, &shares) { byte, part in
                    guard number - part.low < part.width else { return false }
                    bytes.append(byte)
                    return true
                }
                guard let part else { break }
                window = part
            }
        }
        return bytes
    }

    /// The bytes of each window by its number.
    public func dictionary() throws(PithError) -> [[UInt8]] {
        guard bits <= 16 else { throw .usage("a dictionary of 2^\(bits) windows", remedy: "2^16 are the most") }
        var entries = [[UInt8]](repeating: [], count: 1 << bits)
        var shares = [UInt32](repeating: 0, count: 256)
        var open = [(text: [UInt8](), window: Window(bits: bits))]
        while let (text, window) = open.popLast() {
            if !window.isEmpty { entries[Int(window.low)] = text }
            _ = window.firstPart(model, &shares) { byte, part in
                var part = part
                model.advance(&part.context, by: byte)
                open.append((text + [byte], part))
                return false
            }
        }
        return entries
    }
}

extension EqualInfoWindows {
    /// A tokenizer file whose tokens are the windows: what begins a window is one too, so that longest match cuts text
    /// as `encode` does.
    public func tokenizerDocument(
        specialTokens: [String] = [TrainingText.separator]
    ) throws(PithError) -> JSONValue {
        LongestMatchVocabulary.document(try dictionary(), specialTokens: specialTokens, cutsWords: false)
    }
}

/// The numbers that some bytes from the beginning of a window may still become.
private struct Window {
    var low: UInt32 = 0
    var width: UInt32
    var byteCount = 0
    var context = ByteContextModel.Context()

    init(bits: Int) { width = 1 << UInt32(bits) }

    var isEmpty: Bool { byteCount == 0 }

    /// The first part that is wanted, of those of the bytes that find room, the most likely first.
    ///
    /// Each byte takes its share of the numbers that are left, rounded up, until there are none.
    func firstPart(
        _ model: ByteContextModel, _ shares: inout [UInt32], where isWanted: (UInt8, Window) -> Bool
    ) -> Window? {
        // An empty window keeps one number for each byte; any other, one for its end.
        let perByte: UInt32 = isEmpty ? 1 : 0
        var (start, free) = (low + 1 - perByte, isEmpty ? width - 256 : width - 1)
        guard free + perByte > 0, byteCount < EqualInfoWindows.longestWindow else { return nil }
        model.predict(context, into: &shares)
        var total = shares.reduce(0) { $0 + UInt64($1) }
        var last = UInt64.max
        while free + perByte > 0, let next = Self.rank(below: last, shares) {
            let (byte, share) = (255 - UInt8(truncatingIfNeeded: next), next >> 8)
            let taken = UInt32((UInt64(free) * share + total - 1) / total)
            var part = self
            (part.low, part.width, part.byteCount) = (start, taken + perByte, byteCount + 1)
            if isWanted(byte, part) {
                model.advance(&part.context, by: byte)
                return part
            }
            (start, free, total, last) = (start + taken + perByte, free - taken, total - share, next)
        }
        return nil
    }

    /// The most likely byte of those that come after `last`, behind its share; equally likely ones in their order.
    private static func rank(below last: UInt64, _ shares: [UInt32]) -> UInt64? {
        var best: UInt64 = 0
        for byte in 0..<256 {
            let rank = UInt64(shares[byte]) << 8 | UInt64(255 - byte)
            if rank < last { best = max(best, rank) }
        }
        // Every share is at least 1.
        return best >> 8 > 0 ? best : nil
    }
}
