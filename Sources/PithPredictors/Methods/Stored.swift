import PithCoding
import PithCore

/// The bytes as they are: for what cannot be made smaller.
package struct Stored: DataMethod {
    package static let entry = MethodEntry(
        identifier: "store", paper: nil, summary: "the bytes as they are", options: [])

    package init(_ options: OptionValues) {}

    package var costPerByte: Int { 1 }

    package func memory(for count: Int, _ context: CodingContext) -> Int { count }

    package func encode(_ input: [UInt8], _ context: CodingContext) -> [UInt8] {
        context.advance(input.count)
        return input
    }

    package func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        try Self.decode(payload.region, count: count, into: &output, context)
    }

    /// Appends `count` bytes that lie in a region as they are, or as many as there are before throwing.
    static func decode(
        _ region: ByteRegion, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        region.withBytes { output.append(contentsOf: $0.prefix(count)) }
        context.advance(min(count, region.count))
        guard region.count >= count else { throw .truncated(at: region.count) }
        guard region.count == count else { throw .invalidStream("bytes are left behind the last") }
    }
}
