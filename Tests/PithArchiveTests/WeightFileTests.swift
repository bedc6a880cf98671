import Pith
import PithArchive
import PithCore
import PithFormats
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

/// Weights in archives: floats, quantised blocks, and checkpoints coded against an earlier one.
struct WeightFileTests {
    static let pool = ThreadPool(threads: 2)
    static let context = CodingContext(pool: pool)

    static func nano() throws -> ByteRegion {
        try MappedFile.open(joinPath(try #require(BuiltIn.modelFolder("nano")), "model.safetensors"))
    }

    /// `region` coded and opened again.
    private func archive(_ region: ByteRegion, _ context: CodingContext = context) throws -> [UInt8] {
        let sink = MemorySink()
        try Zip.write(ArchiveInput(region), to: sink, ZipOptions(), context)
        #expect(try open(sink.bytes, context) == region.withBytes { Array($0) })
        return sink.bytes
    }

    private func open(_ archive: [UInt8], _ context: CodingContext = context) throws -> [UInt8] {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), context)
        let sink = MemorySink()
        _ = try Unzip.write(&reader, to: sink)
        return sink.bytes
    }

    private func methods(of archive: [UInt8]) throws -> [String] {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), Self.context)
        return try reader.describe().map(\.spec)
    }

    @Test(arguments: ["BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E5M2"])
    func floatsOfAnyLength(type: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "floats:type=\(type)"))
        var random = SeededGenerator(seed: 4)
        let tensor = StoredTensor(random.normalTensor([150_000], scale: 0.02), as: .bfloat16)
        let weights = tensor.region.withBytes { Array($0) }
        for count in [0, 1, 7, 1001, 299_999] {
            let bytes = Array(weights.prefix(count))
            let coded = try method.encode(bytes, Self.context)
            var opened: [UInt8] = []
            try method.decode(CodedPayload(coded), count: count, into: &opened, Self.context)
            #expect(opened == bytes)
            #expect(coded.count <= count + 1)
            // Another number of bytes than was coded is refused, whatever it is.
            for wrong in [count - 1, count + 1, count + 100] where wrong >= 0 {
                var opened: [UInt8] = []
                #expect(throws: PithError.self) {
                    try method.decode(CodedPayload(coded), count: wrong, into: &opened, Self.context)
                }
            }
        }
    }

    @Test(arguments: ["floats:type=BF16", "planes:width=18"])
    func leadingSegmentsOfACutPayload(spec: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: spec))
        let bytes = try Self.nano().withBytes { Array($0.suffix(2_000_001)) }
        let coded = try method.encode(bytes, Self.context)
        #expect(coded.count < bytes.count * 3 / 4)
        var opened: [UInt8] = []
        let cut = CodedPayload(ByteRegion(copying: Array(coded.prefix(coded.count * 2 / 3))), isCut: true)
        #expect(throws: PithError.self) { try method.decode(cut, count: bytes.count, into: &opened, Self.context) }
        #expect(bytes.starts(with: opened) && opened.count > bytes.count / 3)
    }

    @Test func tracesAddUpToThePayload() throws {
        for spec in ["floats:type=BF16", "planes:width=18"] {
            var context = Self.context
            context.trace = CodingTrace()
            let bytes = try Self.nano().withBytes { Array($0.suffix(1_000_000)) }
            let coded = try DataCatalogue.method(for: Spec(parsing: spec)).encode(bytes, context)
            let bits = try #require(context.trace).contents.regionBits.reduce(0, +)
            #expect(abs(bits - Double(8 * coded.count)) < 8 * 200)
        }
    }

    @Test func safetensors() throws {
        let file = try Self.nano()
        let coded = try archive(file)
        #expect(coded.count < file.count * 68 / 100)
        #expect(try methods(of: coded).contains("floats:type=BF16"))
    }

    @Test func quantisedBlocks() throws {
        let file = try SafetensorsFile(joinPath(try #require(BuiltIn.modelFolder("nano")), "model.safetensors"))
        let weight = try #require(file["model.layers.0.mlp.up_proj.weight"]).decoded()
        let (four, eight) = (
            GGUFSample.fourBitBlocks(weight.values), GGUFSample.eightBitBlocks(weight.values)
        )
        let extents = [weight.columns, weight.rows]
        let sample = GGUFSample([
            .init("blk.0.ffn_up.weight", extents, type: 2, four), .init("again", extents, type: 8, eight),
        ])
        let coded = try archive(ByteRegion(copying: sample.bytes))
        #expect(Set(try methods(of: coded)).isSuperset(of: ["planes:width=18", "planes:width=34"]))
        // Codes spread over nearly all that four bits hold; scales are what is alike.
        #expect(coded.count < (four.count * 97 + eight.count * 99) / 100)
    }

    @Test func checkpointAgainstAnEarlierOne() throws {
        let base = try Self.nano()
        // Some weights moved by one step of their last bit, as training a little further does.
        var (bytes, random) = (base.withBytes { Array($0) }, SeededGenerator(seed: 8))
        for range in try SafetensorsFile.ranges(in: base) {
            for place in stride(from: range.range.lowerBound, to: range.range.upperBound, by: 2)
            where random.index(below: 10) == 0 { bytes[place] ^= 1 }
        }
        let tuned = ByteRegion(copying: bytes)
        var context = Self.context
        context.base = base
        let (alone, delta) = (try archive(tuned), try archive(tuned, context))
        // The entropy of one in ten is 0.47 bits for each of 16.
        #expect(delta.count < bytes.count * 4 / 100 && delta.count * 15 < alone.count)
        #expect(try methods(of: delta).contains { $0.hasPrefix("floats:type=BF16,base=true") })

        // Without the base, or with another, there is an error that says so.
        let without = #expect(throws: PithError.self) { try open(delta) }
        #expect(without?.remedy?.contains("--base") == true)
        context.base = tuned
        let other = #expect(throws: PithError.self) { try open(delta, context) }
        #expect(other?.message.contains("fingerprint") == true && other?.remedy?.contains("--base") == true)
        context.base = base[0..<base.count / 2]
        #expect(throws: PithError.self) { try open(delta, context) }
    }
}
