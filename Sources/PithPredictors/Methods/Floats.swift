import PithCoding
import PithCore
import PithTensor

/// Floats one behind the other, for example a tensor of weights, by planes of bytes (`LosslessFloats`).
///
/// A payload is what `LosslessFloats` makes of the whole elements, then the bytes behind the last of them; or a zero
/// and all bytes as they are, where that is shorter.
package struct Floats: DataMethod {
    static let type = MethodOption.choice(
        "type", ElementType.bfloat16, of: types, \.rawValue, "how the floats are written")
    static let base = MethodOption.flag("base", false, "code the exclusive or with the base")
    static let offset = MethodOption.integer(
        "offset", 0, in: 0...Int.max, "where the floats of the base begin, in bytes")

    package static let entry = MethodEntry(
        identifier: "floats",
        paper: Paper("ZipNN: Lossless Compression for AI Models", 2024, identifier: "zipnn"),
        summary: "floats one behind the other: each plane of their bytes coded where that pays",
        options: [type, base, offset])

    private static let types: [ElementType] = [.bfloat16, .float16, .float32, .float64, .float8e4m3, .float8e5m2]
    private static let plain: UInt8 = 0

    /// The spec for floats of a type, and for the exclusive or with floats that begin at a byte of the base.
    package static func spec(_ type: ElementType, base: Int? = nil) -> Spec {
        var options = [(name: "type", value: type.rawValue)]
        if let base { options += [("base", "true"), ("offset", "\(base)")] }
        return Spec(stages: [.init(name: entry.identifier, options: options)])
    }

    private let type: ElementType
    private let hasBase: Bool
    private let offset: Int

    package init(_ options: OptionValues) throws(PithError) {
        type = options[Self.type]
        hasBase = options[Self.base]
        offset = options[Self.offset]
    }

    package var costPerByte: Int { 4 }

    package func memory(for count: Int, _ context: CodingContext) -> Int { 2 * count + 1 << 20 }

    package func fingerprint(for count: Int, _ context: CodingContext) throws(PithError) -> UInt64? {
        guard hasBase else { return nil }
        return try baseRegion(count, context).withBytes { XXHash64.hash($0) }
    }

    /// The part of the base that `count` bytes are coded against.
    private func baseRegion(_ count: Int, _ context: CodingContext) throws(PithError) -> ByteRegion {
        guard let base = context.base else {
            throw .data("was coded against a base, which is not given", remedy: "give it with --base FILE")
        }
        guard offset <= base.count, count <= base.count - offset else {
            throw .data("the base ends before the floats do", remedy: "give the right one with --base FILE")
        }
        return base[offset..<offset + count]
    }

    /// The `count` bytes of the base that whole elements of the input are coded against, if they are.
    private func baseElements(_ count: Int, _ context: CodingContext) throws(PithError) -> StoredTensor? {
        hasBase ? elements(try baseRegion(count, context)) : nil
    }

    /// The whole elements that begin a region.
    private func elements(_ region: ByteRegion) -> StoredTensor {
        let count = region.count / type.byteCount
        return StoredTensor(type: type, shape: [count], region: region[0..<count * type.byteCount])
    }

    package func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        let base = try baseElements(input.count, context)
        var payload = try input.withUnsafeBufferPointer { (bytes) throws(PithError) in
            let region = ByteRegion(UnsafeRawBufferPointer(bytes), keptAliveBy: nil)
            return try LosslessFloats.compress(elements(region), base: base, pool: context.pool)
        }
        if let trace = context.trace { try note(payload, of: input.count, in: trace) }
        payload += input.suffix(input.count % type.byteCount)
        context.advance(input.count)
        return payload.count <= input.count ? payload : [Self.plain] + input
    }

    private func note(_ payload: [UInt8], of count: Int, in trace: CodingTrace) throws(PithError) {
        let length = LosslessFloats.segmentLength * type.byteCount
        for (index, size) in try LosslessFloats.segmentSizes(ByteRegion(copying: payload)).enumerated() {
            trace.add(bits: Double(8 * size), on: index * length..<min(count, (index + 1) * length))
        }
    }

    package func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        let region = payload.region
        guard let first = region.withBytes({ $0.first }) else { throw .truncated(at: 0) }
        guard first != Self.plain else {
            return try Stored.decode(region[1..<region.count], count: count, into: &output, context)
        }
        let rest = count % type.byteCount
        guard payload.isCut || rest <= region.count else { throw .truncated(at: region.count) }
        let coded = payload.isCut ? region : region[0..<region.count - rest]
        let decoded = try LosslessFloats.decompress(
            coded, base: try baseElements(count, context), isCut: payload.isCut, pool: context.pool)
        guard decoded.type == type, decoded.byteCount <= count else {
            throw .invalidStream("the floats are of another type or number")
        }
        decoded.region.withBytes { output.append(contentsOf: $0) }
        context.advance(decoded.byteCount)
        guard !payload.isCut else { throw .truncated(at: region.count) }
        guard decoded.byteCount == count - rest else { throw .invalidStream("the floats are of another number") }
        region.withBytes { output.append(contentsOf: $0.suffix(rest)) }
    }
}
