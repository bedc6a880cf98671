/// The alphabet of byte-level vocabularies: a printable character for each byte.
///
/// Printable bytes stand for themselves; the others take the characters from U+0100 on, in order.
public enum ByteAlphabet {
    /// The character of each byte.
    public static let scalars: [Unicode.Scalar] = {
        var scalars: [Unicode.Scalar] = []
        var next: UInt32 = 0x100
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: scalars.append(Unicode.Scalar(byte))
            default:
                // The 68 characters from U+0100 on are all valid.
                scalars.append(Unicode.Scalar(next) ?? "?")
                next += 1
            }
        }
        return scalars
    }()

    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: Int(scalars.map(\.value).max() ?? 0) + 1)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
        return bytes
    }()

    /// The byte that a character stands for.
    public static func byte(of scalar: Unicode.Scalar) -> UInt8? {
        Int(scalar.value) < bytes.count ? bytes[Int(scalar.value)] : nil
    }

    /// Bytes as a text of the alphabet.
    public static func text(of bytes: some Sequence<UInt8>) -> String {
        var view = String.UnicodeScalarView()
        for byte in bytes { view.append(scalars[Int(byte)]) }
        return String(view)
    }

    /// The bytes that a text stands for; nil if it has other characters.
    public static func bytes(of text: String) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard let byte = byte(of: scalar) else { return nil }
            result.append(byte)
        }
        return result
    }

    /// The text with a character of the alphabet for each byte.
    static func apply(to text: AlignedText) -> AlignedText {
        var writer = AlignedWriter(text)
        rewrite(&writer, to: text.bytes.count)
        return writer.finish()
    }

    /// Writes a character of the alphabet for each byte up to `end`.
    static func rewrite(_ writer: inout AlignedWriter, to end: Int) {
        while writer.position < end {
            let (start, width) = (writer.position, UTF8.width(leading: writer.source.bytes[writer.position]))
            for i in 0..<width {
                writer.write(scalars[Int(writer.source.bytes[start + i])], change: min(i, 1))
            }
        }
    }
}
