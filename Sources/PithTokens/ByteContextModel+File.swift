import PithCoding
import PithCore

/// The file: a mark, the order, then the levels of the trie. A level has for each node of the one above the number of
/// its children, and for each child its byte and its count. Numbers have seven bits in a byte, the lowest first.
extension ByteContextModel {
    private static let mark = Array("pith bytes 1\n".utf8)

    /// The bytes of the file.
    public var fileBytes: [UInt8] {
        var out = Self.mark + [UInt8(order)]
        out.append(number: Int(counts[0]))
        for node in firstChild.indices.dropLast() {
            let children = Int(firstChild[node])..<Int(firstChild[node + 1])
            out.append(number: children.count)
            for child in children {
                out.append(bytes[child])
                out.append(number: Int(counts[child]))
            }
        }
        return out
    }

    /// Writes the file.
    public func write(to path: String) throws(PithError) { try AtomicFile.write(fileBytes, to: path) }

    /// Reads a file.
    public init(contentsOf path: String) throws(PithError) {
        do { try self.init(fileBytes: try Files.bytes(path)) } catch { throw error.within(path) }
    }

    /// Reads the bytes of a file; all of them are checked.
    public init(fileBytes file: [UInt8]) throws(PithError) {
        guard file.starts(with: Self.mark) else {
            throw .data("is no byte model", remedy: "'pith tokenize model' writes one")
        }
        var reader = BoundedReader(file[Self.mark.count...])
        let order = Int(try reader.byte())
        guard Self.orders.contains(order) else { throw .data("has contexts of \(order) bytes") }
        var (bytes, counts): ([UInt8], [UInt32]) = ([0], [try reader.count(upTo: UInt32(Self.largestText))])
        var firstChild: [UInt32] = []
        for _ in 0...order {
            for node in firstChild.count..<counts.count {
                firstChild.append(UInt32(counts.count))
                var left = counts[node]
                var nextByte = 0
                for _ in 0..<(try reader.number(upTo: 256)) {
                    let byte = try reader.byte()
                    guard byte >= nextByte else { throw reader.broken("bytes that follow are out of order") }
                    nextByte = Int(byte) + 1
                    bytes.append(byte)
                    // What follows a string cannot occur more often than the string.
                    counts.append(try reader.count(upTo: left))
                    left -= counts[counts.count - 1]
                }
            }
        }
        guard reader.isAtEnd else { throw reader.broken("there are bytes behind its end") }
        firstChild.append(UInt32(counts.count))
        self.init(order: order, bytes: bytes, counts: counts, firstChild: firstChild)
    }
}

/// Reads a model's numbers, none larger than it can be.
private struct BoundedReader: NumberReading {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    func broken(_ message: String) -> PithError { .data("the byte model is broken: \(message)") }

    mutating func byte() throws(PithError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw broken("it ends too early") }
        return byte
    }

    mutating func number(upTo limit: UInt32) throws(PithError) -> UInt32 {
        let number = try number()
        guard number <= Int(limit) else { throw broken("\(number) where \(limit) is the most there can be") }
        return UInt32(number)
    }

    mutating func count(upTo limit: UInt32) throws(PithError) -> UInt32 {
        let count = try number(upTo: limit)
        guard count > 0 else { throw broken("a count is 0") }
        return count
    }
}
