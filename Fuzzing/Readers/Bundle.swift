import PithCore

/// Several files as one input: before the bytes of each stands a line `#= NAME =#`. What is damaged in one leaves the
/// others as they are.
public enum Bundle {
    /// The files of an input; what stands before the first name is left out.
    public static func files(_ bytes: [UInt8]) -> [(name: String, range: Range<Int>)] {
        var (files, place) = ([(name: String, range: Range<Int>)](), 0)
        while place + 1 < bytes.count {
            guard bytes[place] == UInt8(ascii: "#"), let (name, start) = name(bytes, at: place) else {
                place += 1
                continue
            }
            if let last = files.indices.last { files[last].range = files[last].range.lowerBound..<place }
            files.append((name, start..<bytes.count))
            place = start
        }
        return files
    }

    /// An input of some files.
    public static func bytes(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        files.flatMap { Array("#= \($0.name) =#\n".utf8) + $0.bytes }
    }

    private static let longestName = 64

    /// The name in a line that begins at `place`, and where its file begins.
    private static func name(_ bytes: [UInt8], at place: Int) -> (String, Int)? {
        let rest = bytes[place...].prefix(longestName + 7)
        guard rest.starts(with: "#= ".utf8), let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = rest[rest.startIndex..<end]
        guard line.count > 6, line.suffix(3).elementsEqual(" =#".utf8) else { return nil }
        let name = line.dropFirst(3).dropLast(3)
        guard name.allSatisfy(isOfNames), !name.starts(with: "/".utf8) else { return nil }
        let text = String(decoding: name, as: UTF8.self)
        return text.contains("..") || text.contains("//") || text.hasSuffix("/") ? nil : (text, end + 1)
    }

    private static func isOfNames(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
