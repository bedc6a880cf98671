import PithCoding
import PithCore

/// Records of a fixed number of bytes, for example the blocks of quantised tensors in GGUF files (`RecordPlanes`).
///
/// A payload is a one, what `RecordPlanes` makes of the whole records, then the bytes behind the last of them; or a
/// zero and all bytes as they are, where that is shorter.
package struct Planes: DataMethod {
    static let width = MethodOption.integer("width", 4, in: RecordPlanes.widths, "bytes of a record")

    package static let entry = MethodEntry(
        identifier: "planes", paper: nil,
        summary: "records of a fixed width: the bytes at each place of them coded together",
        options: [width])

    private static let plain: UInt8 = 0
    private static let coded: UInt8 = 1

    /// The spec for records of `width` bytes.
    package static func spec(width: Int) -> Spec {
        Spec(stages: [.init(name: entry.identifier, options: [("width", "\(width)")])])
    }

    private let records: RecordPlanes

    package init(_ options: OptionValues) throws(PithError) { records = RecordPlanes(width: options[Self.width]) }

    package var costPerByte: Int { 4 }

    package func memory(for count: Int, _ context: CodingContext) -> Int { records.memory(for: count) }

    package func encode(_ input: [UInt8], _ context: CodingContext) -> [UInt8] {
        let whole = input.count - input.count % records.width
        var payload = [Self.coded]
        input.withUnsafeBytes { bytes in
            records.encode(UnsafeRawBufferPointer(rebasing: bytes[..<whole]), pool: context.pool) { range, segment in
                payload += segment
                context.trace?.add(bits: Double(8 * segment.count), on: range)
            }
        }
        payload += input[whole...]
        context.advance(input.count)
        return payload.count <= input.count ? payload : [Self.plain] + input
    }

    package func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        let region = payload.region
        switch region.withBytes({ $0.first }) {
        case Self.plain?: try Stored.decode(region[1..<region.count], count: count, into: &output, context)
        case Self.coded?:
            let begin = output.count
            let end = try region[1..<region.count].withBytes { (bytes) throws(PithError) in
                try records.decode(
                    bytes, count: count / records.width, into: &output, pool: context.pool, advance: context.advance)
            }
            try Stored.decode(
                region[1 + end..<region.count], count: begin + count - output.count, into: &output, context)
        default: throw .truncated(at: 0)
        }
    }
}
