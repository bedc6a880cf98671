import PithCore

/// Documents to learn from, in the order of their files.
public struct TrainingText: Sendable {
    /// A line that holds only this stands between two documents.
    public static let separator = "<|endoftext|>"

    /// The documents, none empty.
    public var documents: [String]

    /// Bytes of all documents.
    public var byteCount: Int { documents.reduce(0) { $0 + $1.utf8.count } }

    /// Given documents; empty ones are left out.
    public init(documents: [String]) { self.documents = documents.filter { !$0.isEmpty } }

    /// Reads files of documents, which must be UTF-8.
    public init(files: [String]) throws(PithError) {
        documents = []
        for file in files {
            let text = Array(try Files.text(file).utf8)
            let found = text.withUnsafeBytes { Self.documents(in: $0) }
            guard !found.isEmpty else { throw .data("holds no text", at: file) }
            documents += found
        }
    }

    /// The documents of one file, without the line breaks around them.
    static func documents(in bytes: UnsafeRawBufferPointer) -> [String] {
        let mark = Array(separator.utf8)
        let newline = UInt8(ascii: "\n")
        var documents: [String] = []
        var documentStart = 0
        func close(at end: Int) {
            var range = documentStart..<end
            while let first = range.first, bytes[first] == newline { range.removeFirst() }
            while let last = range.last, bytes[last] == newline { range.removeLast() }
            if !range.isEmpty { documents.append(String(decoding: bytes[range], as: UTF8.self)) }
        }
        var lineStart = 0
        while lineStart < bytes.count {
            let lineEnd = bytes[lineStart...].firstIndex(of: newline) ?? bytes.count
            var line = bytes[lineStart..<lineEnd]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if line.count == mark.count && line.elementsEqual(mark) {
                close(at: lineStart)
                documentStart = min(lineEnd + 1, bytes.count)
            }
            lineStart = lineEnd + 1
        }
        close(at: bytes.count)
        return documents
    }

    /// Takes some text from the end: whole documents of about a hundredth of all bytes, a megabyte at most, or where
    /// the last document is larger than that its last lines.
    public mutating func splitOffTail() -> TrainingText {
        let target = min(byteCount / 100, 1_000_000)
        var (tail, size) = ([String](), 0)
        while size < target, documents.count > 1, let last = documents.last, size + last.utf8.count <= 2 * target {
            tail.insert(documents.removeLast(), at: 0)
            size += last.utf8.count
        }
        if tail.isEmpty, let last = documents.popLast() {
            let (front, back) = Self.cut(last, keeping: last.utf8.count - target)
            if !front.isEmpty { documents.append(front) }
            if !back.isEmpty { tail = [back] }
        }
        return TrainingText(documents: tail)
    }

    /// Cuts a text at the end of the line that holds byte `count`, or right there if no later line follows.
    private static func cut(_ text: String, keeping count: Int) -> (String, String) {
        let scalars = text.unicodeScalars
        // Into the middle of a character no cut may go.
        var start = text.utf8.index(text.startIndex, offsetBy: count)
        while start < text.endIndex, start.samePosition(in: scalars) == nil { start = text.utf8.index(after: start) }
        let lineEnd = scalars[start...].firstIndex(of: "\n").map { scalars.index(after: $0) }
        let end = lineEnd.flatMap { $0 < scalars.endIndex ? $0 : nil } ?? start
        return (String(scalars[..<end]), String(scalars[end...]))
    }

    /// The SHA-256 of the documents and of where they end.
    public var digest: String {
        var digest = SHA256()
        for document in documents {
            var document = document
            document.withUTF8 { digest.update(UnsafeRawBufferPointer($0)) }
            [UInt8(0xFF)].withUnsafeBytes { digest.update($0) }
        }
        return digest.hexDigest()
    }
}
