import PithCore

/// Several streams one after the other: the lengths of all but the last, then the streams.
///
/// Lengths are written seven bits a byte, the lowest first; the highest bit says that more follow.
enum ChunkedStreams {
    /// The parts of `count` bytes that are coded by themselves: equal shares, at most `number`.
    static func ranges(of count: Int, _ number: Int) -> [Range<Int>] {
        let number = max(1, min(number, count))
        return (0..<number).map { $0 * count / number..<($0 + 1) * count / number }
    }

    /// The streams as one.
    static func joined(_ streams: [[UInt8]]) -> [UInt8] {
        var result: [UInt8] = []
        for stream in streams.dropLast() {
            var rest = stream.count
            while rest > 127 {
                result.append(UInt8(rest & 127 | 128))
                rest >>= 7
            }
            result.append(UInt8(rest))
        }
        return result + streams.joined()
    }

    /// The streams again: of a payload that is cut those of which something is there, the last of them cut.
    static func split(_ payload: CodedPayload, into number: Int) throws(PithError) -> [CodedPayload] {
        let region = payload.region
        var (offset, lengths) = (0, [Int]())
        for _ in 1..<max(1, number) {
            var (length, shift) = (0, 0)
            while true {
                guard offset < region.count else { throw .truncated(at: offset) }
                guard shift < 56 else { throw .invalidStream("a length of more than 56 bits") }
                let byte = Int(region.bytes[offset])
                offset += 1
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128 { break }
            }
            lengths.append(length)
        }
        var streams: [CodedPayload] = []
        for length in lengths {
            guard length <= region.count - offset else {
                guard payload.isCut else { throw .truncated(at: region.count) }
                return streams + [CodedPayload(region[offset..<region.count], isCut: true)]
            }
            streams.append(CodedPayload(region[offset..<offset + length]))
            offset += length
        }
        return streams + [CodedPayload(region[offset..<region.count], isCut: payload.isCut)]
    }
}
