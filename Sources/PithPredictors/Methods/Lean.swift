import PithCoding
import PithCore

/// Light context mixing: models of a few contexts learn while they code, and a mixer weighs them for each bit.
struct Lean: DataMethod {
    static let entry = MethodEntry(
        identifier: "lean",
        paper: Paper("Adaptive Weighing of Context Models for Lossless Data Compression", 2005),
        summary: "light context mixing: small text and records of any kind, 2 MB/s", options: [])

    init(_ options: OptionValues) {}

    var costPerByte: Int { 500 }

    func memory(for count: Int, _ context: CodingContext) -> Int { LeanPredictor.memory(LeanProfile(count: count)) }

    /// Bytes between reports of progress.
    private static let reportSize = 1 << 16

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        guard !input.isEmpty else { return [] }
        let profile = LeanProfile(of: input)
        guard let trace = context.trace else { return profile.header + (try code(input, profile, context)) }
        return profile.header + (try code(input, profile, context, tracedBy: trace))
    }

    private func code(
        _ input: [UInt8], _ profile: LeanProfile, _ context: CodingContext
    ) throws(PithError) -> [UInt8] {
        var coder = try LeanCoder(profile, RangeEncoder())
        defer { withExtendedLifetime(coder) {} }  // its pointers do not keep its memory
        for start in stride(from: 0, to: input.count, by: Self.reportSize) {
            let end = min(start + Self.reportSize, input.count)
            for offset in start..<end { _ = try coder.code(input[offset]) }
            context.advance(end - start)
        }
        return coder.bits.finish()
    }

    private func code(
        _ input: [UInt8], _ profile: LeanProfile, _ context: CodingContext, tracedBy trace: CodingTrace
    ) throws(PithError) -> [UInt8] {
        var coder = try LeanCoder(profile, LeanTracingEncoder())
        defer { withExtendedLifetime(coder) {} }
        for start in stride(from: 0, to: input.count, by: trace.regionSize) {
            let end = min(start + trace.regionSize, input.count)
            for offset in start..<end { _ = try coder.code(input[offset]) }
            trace.add(bits: coder.bits.bits, at: start)
            coder.bits.bits = 0
            context.advance(end - start)
        }
        return coder.bits.encoder.finish()
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        let region = payload.region
        guard count > 0 else {
            guard region.count == 0 else { throw .invalidStream("bytes are left behind the last") }
            return
        }
        guard region.count > LeanProfile.headerSize else { throw .truncated(at: region.count) }
        guard let profile = region.withBytes({ LeanProfile(header: $0) }) else {
            throw .invalidStream("the header of 'lean' is none")
        }
        let bits = try RangeDecoder(region[LeanProfile.headerSize..<region.count], isCut: payload.isCut)
        var coder = try LeanCoder(profile, bits)
        defer { withExtendedLifetime(coder) {} }
        for start in stride(from: 0, to: count, by: Self.reportSize) {
            let end = min(start + Self.reportSize, count)
            for _ in start..<end { output.append(try coder.code(0)) }
            context.advance(end - start)
        }
        // The decoder reads three bytes ahead, which a whole stream does not have.
        guard coder.bits.byteCount == region.count - LeanProfile.headerSize + 3 else {
            throw .invalidStream("bytes are left behind the last")
        }
    }
}
