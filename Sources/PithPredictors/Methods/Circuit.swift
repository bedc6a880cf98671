import PithCoding
import PithCore

/// Records of a fixed width, images or rows, by a hidden Chow-Liu tree: a probabilistic circuit.
struct Circuit: DataMethod {
    static let width = MethodOption.integer(
        "width", 0, in: 0...RecordShape.widths.upperBound, "bytes a record; 0 finds it out")
    static let latents = MethodOption.integer(
        "latents", 16, in: 8...64, "states of a hidden node, made a multiple of 8")
    static let iterations = MethodOption.integer("iterations", 4, in: 0...32, "how often each record is learnt again")
    static let adaptive = MethodOption.flag(
        "adaptive", true, "learn while coding, rather than store the model's parameters")
    static let seed = MethodOption.integer("seed", 0, in: 0...65535, "of the first, random parameters")

    static let entry = MethodEntry(
        identifier: "circuit",
        paper: Paper("Lossless Compression with Probabilistic Circuits", 2021, identifier: "pc-lossless"),
        summary: "records of fixed width by a hidden Chow-Liu tree; for small images and rows of bytes",
        options: [width, latents, iterations, adaptive, seed])

    private let width: Int
    private let latents: Int
    private let iterations: Int
    private let adaptive: Bool
    private let seed: Int

    init(_ options: OptionValues) throws(PithError) {
        width = options[Self.width]
        latents = options[Self.latents]
        iterations = options[Self.iterations]
        adaptive = options[Self.adaptive]
        seed = options[Self.seed]
        guard width != 1 else { throw .usage("records of one byte", at: "circuit: width", remedy: "2 to 4096, or 0") }
    }

    func memory(for count: Int, _ context: CodingContext) -> Int {
        let width = min(width == 0 ? RecordShape.widths.upperBound : width, count / Self.leastRecords)
        return count
            + min(
                HiddenChowLiuTree.memory(width: width, symbols: min(256, count), states: latents),
                16 * HiddenChowLiuTree.parameterLimit)
    }

    /// With fewer records nothing is learnt that pays.
    private static let leastRecords = 8

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        let shape = width > 0 ? RecordShape(headerSize: 0, width: width) : RecordShape(of: input)
        guard let shape, input.count - shape.headerSize >= Self.leastRecords * shape.width else {
            throw .usage(
                "no records of one width are seen", at: "circuit",
                remedy: "images in an IDX file, or at least \(Self.leastRecords) records of `width` bytes")
        }
        let records = Records(input[shape.headerSize...], width: shape.width)
        let values = ValueTree(counts: records.valueCounts)
        let groups = min((latents + 7) / 8, max(1, records.count / 16))
        let header = CircuitHeader(
            shape: shape, records: records.count, groups: groups, iterations: iterations, seed: seed, adaptive: adaptive
        )
        try HiddenChowLiuTree.checkSize(width: shape.width, values, groups: groups)

        // The structure: which variables tell about each other.
        let tree = ChowLiuTree(learning: records, context.pool)
        var encoder = RangeEncoder()
        header.encode(to: &encoder)
        values.encode(to: &encoder)
        tree.encode(to: &encoder)
        var surroundings = BitTree(bits: 8)
        for byte in input[..<shape.headerSize] { surroundings.encode(Int(byte), to: &encoder) }

        let model = HiddenChowLiuTree(tree: tree, values: values, groups: groups)
        let note = noting(context, shape)
        if adaptive {
            var circuit = AdaptiveCircuit(model, replays: iterations, seed: UInt64(seed))
            circuit.encode(records, to: &encoder, context.pool, note: note, advance: context.advance)
        } else {
            let stored = StoredCircuit(
                HiddenChowLiuTree.train(model, on: records, epochs: iterations, seed: UInt64(seed), context.pool))
            stored.encode(to: &encoder)
            stored.model.encode(records, to: &encoder, note: note)
            context.advance(records.bytes.count)
        }
        for byte in input[records.bytes.endIndex...] { surroundings.encode(Int(byte), to: &encoder) }
        context.advance(input.count - records.bytes.count)
        return encoder.finish()
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        var decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
        let header = try CircuitHeader(from: &decoder, count: count)
        let values = try ValueTree(from: &decoder)
        try HiddenChowLiuTree.checkSize(width: header.shape.width, values, groups: header.groups)
        let tree = try ChowLiuTree(count: header.shape.width, from: &decoder)
        var surroundings = BitTree(bits: 8)
        for _ in 0..<header.shape.headerSize { output.append(UInt8(try surroundings.decode(from: &decoder))) }

        let model = HiddenChowLiuTree(tree: tree, values: values, groups: header.groups)
        if header.adaptive {
            var circuit = AdaptiveCircuit(model, replays: header.iterations, seed: UInt64(header.seed))
            try circuit.decode(
                count: header.records, from: &decoder, into: &output, context.pool, advance: context.advance)
        } else {
            let stored = try StoredCircuit(tree: tree, values: values, groups: header.groups, from: &decoder)
            try stored.model.decode(count: header.records, from: &decoder, into: &output)
            context.advance(header.records * header.shape.width)
        }
        let rest = count - header.shape.headerSize - header.records * header.shape.width
        for _ in 0..<rest { output.append(UInt8(try surroundings.decode(from: &decoder))) }
        context.advance(header.shape.headerSize + rest)
    }

    /// Notes the bits of each record in the context's trace.
    private func noting(_ context: CodingContext, _ shape: RecordShape) -> ((Double) -> Void)? {
        guard let trace = context.trace else { return nil }
        var place = shape.headerSize
        return { bits in
            trace.add(bits: bits, on: place..<place + shape.width)
            place += shape.width
        }
    }
}

/// What a decoder must know before the model.
struct CircuitHeader: Equatable {
    var shape: RecordShape
    var records: Int
    var groups: Int
    var iterations: Int
    var seed: Int
    var adaptive: Bool

    func encode(to encoder: inout RangeEncoder) {
        encoder.encode(bits: UInt32(shape.headerSize), count: 8)
        encoder.encode(bits: UInt32(shape.width), count: 13)
        encoder.encode(bits: UInt32(groups), count: 4)
        encoder.encode(bits: UInt32(iterations), count: 6)
        encoder.encode(bits: UInt32(seed), count: 16)
        encoder.encode(bits: adaptive ? 1 : 0, count: 1)
    }

    init(
        shape: RecordShape, records: Int, groups: Int, iterations: Int, seed: Int, adaptive: Bool
    ) {
        (self.shape, self.records, self.groups) = (shape, records, groups)
        (self.iterations, self.seed, self.adaptive) = (iterations, seed, adaptive)
    }

    /// Reads a header of `count` bytes of data.
    init(from decoder: inout RangeDecoder, count: Int) throws(PithError) {
        let headerSize = Int(try decoder.decode(bits: 8))
        let width = Int(try decoder.decode(bits: 13))
        groups = Int(try decoder.decode(bits: 4))
        iterations = Int(try decoder.decode(bits: 6))
        seed = Int(try decoder.decode(bits: 16))
        adaptive = try decoder.decode(bits: 1) == 1
        guard RecordShape.widths.contains(width), (1...8).contains(groups), count - headerSize >= width else {
            throw .invalidStream("records of \(width) bytes in \(count)")
        }
        shape = RecordShape(headerSize: headerSize, width: width)
        records = (count - headerSize) / width
    }
}
