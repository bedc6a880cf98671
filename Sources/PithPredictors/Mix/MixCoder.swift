import PithCoding
import PithCore

/// The engine as a coder of runs of bytes: `Mix` and methods with a language model call it.
///
/// A payload is a byte of which the high half is the effort and the low half the content, three bytes for the width if
/// the content is not text, and a stream of the range coder.
package enum MixCoder {
    // How many bytes pass between calls of `advance`.
    private static let reportStep = 1 << 14

    /// What is learnt of the primer before `count` bytes: its end, but not much more than will be coded.
    private static func learnt(_ primer: [UInt8], _ settings: MixSettings, count: Int) -> ArraySlice<UInt8> {
        primer.suffix(learntCount(primer.count, settings, count: count))
    }

    /// How many of the bytes of a primer are learnt before `count` bytes.
    static func learntCount(_ primer: Int, _ settings: MixSettings, count: Int) -> Int {
        min(primer, settings.primerLimit, 16 * min(count, primer))
    }

    /// Memory for the tables of a predictor for `count` bytes.
    private static func arena(
        _ settings: MixSettings, count: Int, hasExternal: Bool
    ) throws(PithError) -> Arena {
        let size = MixSize(settings, count: count)
        return try Arena(expecting: size.memory + (hasExternal ? size.flagMemory : 0))
    }

    /// Codes `input`; text as what comes behind `primer`.
    package static func encode<External: ExternalPredictor>(
        _ input: [UInt8], _ settings: MixSettings, _ external: consuming External,
        network weights: ByteNetworkWeights? = nil, primer: [UInt8] = [], _ context: CodingContext
    ) throws(PithError) -> [UInt8] {
        var input = input
        MachineCode.makeAbsolute(&input, settings.content)
        let learnt = Self.learnt(primer, settings, count: input.count)
        let size = input.count + learnt.count
        let arena = try Self.arena(settings, count: size, hasExternal: External.self != NoPredictor.self)
        defer { withExtendedLifetime(arena) {} }
        let network = weights.map {
            ByteNetworkPredictor(
                encoding: learnt.suffix(MixPredictor<External>.rehearsed) + input, $0, pool: context.pool)
        }
        var predictor = MixPredictor(settings, count: size, external, network: network, arena)
        try predictor.prime(learnt)
        context.advance(learnt.count)
        if let trace = context.trace { predictor.begin(trace, arena) }
        var encoder = RangeEncoder()
        for (index, byte) in input.enumerated() {
            for shift in (0..<8).reversed() {
                let bit = UInt32(byte) >> UInt32(shift) & 1
                let probability = predictor.predict()
                encoder.encode(bit == 1, probability: probability)
                predictor.trace?.update(bit, probability: probability)
                _ = try predictor.update(bit)
            }
            while let probability = predictor.predictFlag() {
                let flag = predictor.flagToEncode
                encoder.encode(flag, probability: probability)
                predictor.trace?.updateFlag(flag, probability: probability)
                try predictor.updateFlag(flag)
            }
            predictor.trace?.finishByte()
            if (index + 1) % reportStep == 0 { context.advance(reportStep) }
        }
        predictor.trace?.flush()
        context.advance(input.count % reportStep)
        return header(settings) + encoder.finish()
    }

    /// Appends the `count` bytes of `payload` to `output`; see `DataMethod.decode`.
    package static func decode<External: ExternalPredictor>(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8],
        _ external: consuming External, network weights: ByteNetworkWeights? = nil, primer: [UInt8] = [],
        _ context: CodingContext
    ) throws(PithError) {
        let (settings, start) = try readHeader(payload.region)
        let stream = payload.region.withBytes { ByteRegion(copying: Array($0.dropFirst(start))) }
        var decoder = try RangeDecoder(stream, isCut: payload.isCut)
        let learnt = Self.learnt(primer, settings, count: count)
        let size = count + learnt.count
        let arena = try Self.arena(settings, count: size, hasExternal: External.self != NoPredictor.self)
        defer { withExtendedLifetime(arena) {} }
        let network = weights.map {
            ByteNetworkPredictor(
                decodingBehind: learnt.suffix(MixPredictor<External>.rehearsed), $0, pool: context.pool)
        }
        var predictor = MixPredictor(settings, count: size, external, network: network, arena)
        try predictor.prime(learnt)
        context.advance(learnt.count)
        let first = output.count
        do throws(PithError) {
            try decode(count, with: &decoder, &predictor, into: &output, context)
        } catch {
            output.removeSubrange(MachineCode.makeRelative(&output, settings.content, from: first)...)
            throw error
        }
        MachineCode.makeRelative(&output, settings.content, from: first)
        guard decoder.byteCount >= stream.count else { throw .invalidStream("bytes are left behind the last") }
    }

    private static func decode<External: ExternalPredictor>(
        _ count: Int, with decoder: inout RangeDecoder, _ predictor: inout MixPredictor<External>,
        into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        for index in 0..<count {
            var isWhole = false
            while !isWhole {
                let bit = try decoder.decode(probability: predictor.predict())
                isWhole = try predictor.update(bit ? 1 : 0)
            }
            output.append(UInt8(predictor.history.byte(1)))
            while let probability = predictor.predictFlag() {
                try predictor.updateFlag(try decoder.decode(probability: probability))
            }
            if (index + 1) % reportStep == 0 { context.advance(reportStep) }
        }
        context.advance(count % reportStep)
    }

    private static func header(_ settings: MixSettings) -> [UInt8] {
        let effort = UInt8(MixSettings.Effort.allCases.firstIndex(of: settings.effort)!)
        let first = effort << 4 | settings.content.rawValue
        guard settings.content != .text else { return [first] }
        return [first] + (0..<3).map { UInt8(settings.width >> (8 * $0) & 255) }
    }

    private static func readHeader(_ region: ByteRegion) throws(PithError) -> (MixSettings, Int) {
        let bytes = region.withBytes { Array($0.prefix(4)) }
        guard let first = bytes.first else { throw .truncated(at: 0) }
        guard let content = MixSettings.Content(rawValue: first & 15),
            Int(first >> 4) < MixSettings.Effort.allCases.count
        else { throw .invalidStream("\(first) is no content that is known") }
        let effort = MixSettings.Effort.allCases[Int(first >> 4)]
        if content == .text { return (MixSettings(effort: effort, content: content, width: 0), 1) }
        guard bytes.count == 4 else { throw .truncated(at: bytes.count) }
        let width = Int(bytes[1]) | Int(bytes[2]) << 8 | Int(bytes[3]) << 16
        guard width <= MixSettings.largestWidth else { throw .invalidStream("rows of \(width) bytes") }
        return (MixSettings(effort: effort, content: content, width: width), 4)
    }
}
