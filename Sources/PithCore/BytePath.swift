/// A path as the file system sees it: bytes, which need not be UTF-8. Two paths are the same if their bytes are.
public struct BytePath: Hashable, Comparable, Sendable, ExpressibleByStringLiteral {
    /// The bytes, without the zero that ends them in C.
    public var bytes: [UInt8]

    /// A path of bytes.
    public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    /// A path of text.
    public init(_ text: String) { bytes = Array(text.utf8) }
    /// A path of text.
    public init(stringLiteral text: String) { self.init(text) }
    /// A path that C gave.
    init(_ text: UnsafePointer<CChar>) {
        var end = text
        while end.pointee != 0 { end += 1 }
        self.init(UnsafeRawBufferPointer(start: text, count: end - text))
    }

    /// Orders by bytes.
    public static func < (left: Self, right: Self) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

    private static let slash = UInt8(ascii: "/")

    /// What stands between slashes, empty parts included.
    public var components: [BytePath] {
        bytes.split(separator: Self.slash, omittingEmptySubsequences: false).map { BytePath($0) }
    }

    /// The path without slashes at its end; `/` stays.
    public var trimmed: BytePath {
        BytePath(bytes.prefix(max(1, (bytes.lastIndex { $0 != Self.slash } ?? 0) + 1)))
    }

    /// What stands behind the last slash.
    public var name: BytePath { BytePath(bytes.suffix(from: (bytes.lastIndex(of: Self.slash) ?? -1) + 1)) }

    /// The folder that it lies in: what stands before the last slash, `.` if there is none.
    public var folder: BytePath {
        guard let slash = bytes.lastIndex(of: Self.slash) else { return "." }
        return slash == 0 ? "/" : BytePath(bytes[..<slash])
    }

    /// The path of `name` in the folder at this path.
    public func appending(_ name: BytePath) -> BytePath {
        BytePath(bytes.isEmpty || bytes.last == Self.slash ? bytes + name.bytes : bytes + [Self.slash] + name.bytes)
    }

    /// The path as text, if it is UTF-8.
    public var text: String? { String(validating: bytes, as: UTF8.self) }

    /// The path as text for what takes no bytes; bytes that are no UTF-8 are replaced.
    public var systemText: String { String(decoding: bytes, as: UTF8.self) }

    /// Calls `body` with the path as C wants it.
    func withCString<Result, Failure: Error>(
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let terminated = bytes.map { CChar(bitPattern: $0) } + [0]
        return try terminated.withUnsafeBufferPointer { (buffer) throws(Failure) in try body(buffer.baseAddress!) }
    }
}

extension BytePath: CustomStringConvertible {
    /// The path for people: control characters and bytes that are no UTF-8 are escaped, and the backslash is doubled.
    public var description: String {
        if let text { return text.replacing("\\", with: "\\\\").printable }
        var (result, rest) = ("", bytes[...])
        while let byte = rest.first {
            let length = [1, 2, 3, 4].first { length in
                length <= rest.count && String(validating: rest.prefix(length), as: UTF8.self) != nil
            }
            if let length, let text = String(validating: rest.prefix(length), as: UTF8.self) {
                result += text == "\\" ? "\\\\" : text.printable
            } else {
                result += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
            rest = rest.dropFirst(length ?? 1)
        }
        return result
    }
}

extension String {
    /// The text with its control characters, and those that turn the direction of what follows, as `\u{1B}`: what
    /// comes from files may be shown on a terminal.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isUnprintable) else { return self }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar.isUnprintable {
                result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }
}

extension Unicode.Scalar {
    fileprivate var isUnprintable: Bool {
        switch value {
        case ..<0x20, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
