import PithCoding
import PithCore

/// The bytes as they are: for what cannot be made smaller.
struct Stored: DataMethod {
    static let entry = MethodEntry(
        identifier: "store", paper: nil, summary: "the bytes as they are", options: [])

    init(_ options: OptionValues) {}

    func memory(for count: Int) -> Int { count }

    func encode(_ input: [UInt8], _ context: CodingContext) -> [UInt8] {
        context.advance(input.count)
        return input
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        payload.region.withBytes { output.append(contentsOf: $0.prefix(count)) }
        context.advance(min(count, payload.region.count))
        guard payload.region.count >= count else { throw .truncated(at: payload.region.count) }
        guard payload.region.count == count else { throw .invalidStream("bytes are left behind the last") }
    }
}
