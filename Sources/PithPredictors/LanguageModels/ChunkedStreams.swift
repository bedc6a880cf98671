import PithCoding
import PithCore

/// Several streams one after the other: the lengths of all but the last, then the streams.
enum ChunkedStreams {
    /// The parts of `count` bytes that are coded by themselves: equal shares, at most `number`.
    static func ranges(of count: Int, _ number: Int) -> [Range<Int>] {
        let number = max(1, min(number, count))
        return (0..<number).map { $0 * count / number..<($0 + 1) * count / number }
    }

    /// The streams as one.
    static func joined(_ streams: [[UInt8]]) -> [UInt8] {
        var result: [UInt8] = []
        for stream in streams.dropLast() { result.append(number: stream.count) }
        return result + streams.joined()
    }

    /// The streams again: of a payload that is cut those of which something is there, the last of them cut.
    static func split(_ payload: CodedPayload, into number: Int) throws(PithError) -> [CodedPayload] {
        let region = payload.region
        // A number has eight bytes at most.
        var reader = ByteReader(Array(region.bytes.prefix(8 * number)))
        var lengths: [Int] = []
        for _ in 1..<max(1, number) { lengths.append(try reader.number()) }
        var offset = reader.offset
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
