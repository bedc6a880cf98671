import Foundation
import Pith
import PithCoding
import PithCore
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

/// Probabilistic circuits: what is exact, what a code costs, and what the structure finds.
struct CircuitTests {
    static let pool = ThreadPool(threads: 2)

    /// Records of `width` bytes in which the first byte of each pair decides the second, of 4 values each.
    private static func pairs(_ count: Int, width: Int, seed: UInt64 = 3) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).flatMap { _ in
            (0..<width / 2).flatMap { _ -> [UInt8] in
                let first = UInt8(random.index(below: 4))
                return [65 + first, 70 + (random.index(below: 10) == 0 ? UInt8(random.index(below: 4)) : first)]
            }
        }
    }

    @Test func theTreeJoinsWhatTellsAboutEachOther() {
        let records = Records(Self.pairs(2000, width: 12)[...], width: 12)
        let tree = ChowLiuTree(learning: records, Self.pool)
        for pair in stride(from: 0, to: 12, by: 2) {
            let joined = (1..<tree.count).contains { node in
                Set([tree.variables[node], tree.variables[tree.parents[node]]]) == [pair, pair + 1]
            }
            #expect(joined, "\(pair)")
        }
        for node in 1..<tree.count { #expect(tree.parents[node] < node) }
    }

    @Test func structureIsReadAsWritten() throws {
        let bytes = Self.pairs(300, width: 20)
        let records = Records(bytes[...], width: 20)
        let (tree, values) = (ChowLiuTree(learning: records, Self.pool), ValueTree(counts: records.valueCounts))
        var encoder = RangeEncoder()
        tree.encode(to: &encoder)
        values.encode(to: &encoder)
        var decoder = try RangeDecoder(encoder.finish())
        #expect(try ChowLiuTree(count: 20, from: &decoder) == tree)
        #expect(try ValueTree(from: &decoder) == values)
    }

    @Test(arguments: ["circuit:width=12", "circuit:width=12,adaptive=false,latents=8", "circuit"])
    func roundTripAndLengthByTheModel(spec: String) throws {
        let bytes = Self.pairs(2000, width: 12) + [1, 2, 3]
        let method = try DataCatalogue.method(for: Spec(parsing: spec))
        let trace = CodingTrace()
        let coded = try method.encode(bytes, CodingContext(pool: Self.pool, trace: trace))
        // On another number of threads.
        var opened: [UInt8] = []
        try method.decode(
            CodedPayload(coded), count: bytes.count, into: &opened, CodingContext(pool: ThreadPool(threads: 1)))
        #expect(opened == bytes)
        // 6 pairs of 2 + 0.69 bits are about 2 bytes; order-0 codes need 3.
        #expect(coded.count < 2000 * 12 / 4, "\(coded.count)")
        let bits = trace.contents.regionBits.reduce(0, +)
        #expect(Double(8 * coded.count) >= bits - 8)
        if !spec.contains("false") { #expect(Double(8 * coded.count) < 1.01 * bits + 1500) }
    }

    @Test func aTrainedModelCodesOtherRecords() throws {
        let train = Self.pairs(3000, width: 12)
        let records = Records(train[...], width: 12)
        let empty = HiddenChowLiuTree(
            tree: ChowLiuTree(learning: records, Self.pool), values: ValueTree(counts: records.valueCounts), groups: 1)
        let learner = HiddenChowLiuTree.train(empty, on: records, epochs: 4, seed: 1, Self.pool)
        let stored = try StoredCircuit.load(StoredCircuit(learner).save())
        #expect(stored.model == StoredCircuit(learner).model)
        let other = Self.pairs(1000, width: 12, seed: 8)
        var (encoder, bits) = (RangeEncoder(), 0.0)
        stored.model.encode(Records(other[...], width: 12), to: &encoder) { bits += $0 }
        let coded = encoder.finish()
        #expect(abs(Double(8 * coded.count) - bits) < 0.01 * bits)
        #expect(bits < 1000 * 18, "\(bits / 1000) bits a record, of which 16.2 are information")
        var (decoder, opened) = (try RangeDecoder(coded), [UInt8]())
        try stored.model.decode(count: 1000, from: &decoder, into: &opened)
        #expect(opened == other)
    }

    /// The product of a pass's conditionals is the likelihood of the record, summed over all states.
    @Test func conditionalsAgreeWithSumsOverAllStates() {
        let bytes = Self.pairs(200, width: 4)
        let records = Records(bytes[...], width: 4)
        let empty = HiddenChowLiuTree(
            tree: ChowLiuTree(learning: records, Self.pool), values: ValueTree(counts: records.valueCounts), groups: 1)
        let model = HiddenChowLiuTree.train(empty, on: records, epochs: 2, seed: 1, Self.pool).model
        for record in 0..<20 {
            var (encoder, bits) = (RangeEncoder(), 0.0)
            model.encode(records[record..<record + 1], to: &encoder) { bits += $0 }
            #expect(abs(bits + log2(likelihood(records, record, model))) < 0.001)
        }
    }

    /// Σ over all assignments of states, by recursion over subtrees in double precision.
    private func likelihood(_ records: Records, _ record: Int, _ model: HiddenChowLiuTree) -> Double {
        func below(_ node: Int, state: Int) -> Double {
            let value = Int(records.value(record, model.tree.variables[node]))
            var result = 1.0
            for step in model.values.stepStarts[value]..<model.values.stepStarts[value + 1] {
                let (decision, upper) = (Int(model.values.steps[step]) >> 1, model.values.steps[step] & 1 == 1)
                let chance = Double(model.emissions[node * model.emissionSize + decision][state])
                result *= upper ? chance : 1 - chance
            }
            for child in 0..<model.tree.count where model.tree.parents[child] == node {
                result *= (0..<8).reduce(0) { sum, next in
                    sum + Double(model.transitions[child * 8 + state][next]) * below(child, state: next)
                }
            }
            return result
        }
        return (0..<8).reduce(0) { $0 + Double(model.prior[0][$1]) * below(0, state: $1) }
    }

    @Test func unsuitableInputsAreRefused() throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "circuit"))
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 0, count: 1000)] {
            #expect(throws: PithError.self) { try method.encode(bytes, CodingContext(pool: Self.pool)) }
        }
        #expect(throws: PithError.self) { try DataCatalogue.method(for: Spec(parsing: "circuit:width=1")) }
    }

    /// An IDX file of square pictures: strokes of ten kinds, each picture's ends moved a little.
    private static func strokes(_ count: Int, size: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        func points(_ count: Int, in extent: Float, around centre: Float) -> [Float] {
            (0..<2 * count).map { _ in centre + (random.uniform() - 0.5) * extent }
        }
        let middle = Float(size) / 2
        let kinds = (0..<10).map { _ in points(4, in: 0.7 * Float(size), around: middle) }
        var bytes: [UInt8] = [0, 0, 8, 3]
        for extent in [count, size, size] { bytes += (0..<4).map { UInt8(extent >> (24 - 8 * $0) & 255) } }
        for _ in 0..<count {
            let ends = zip(kinds[random.index(below: 10)], points(4, in: 3, around: 0)).map { $0 + $1 }
            for place in 0..<size * size {
                let (x, y) = (Float(place % size), Float(place / size))
                // The distance to the nearest of three strokes from point to point.
                let distance =
                    stride(from: 0, to: 6, by: 2).map { stroke -> Float in
                        let (a, b) = ((ends[stroke], ends[stroke + 1]), (ends[stroke + 2], ends[stroke + 3]))
                        let (dx, dy) = (b.0 - a.0, b.1 - a.1)
                        let along = max(0, min(1, ((x - a.0) * dx + (y - a.1) * dy) / max(0.01, dx * dx + dy * dy)))
                        return hypot(x - a.0 - along * dx, y - a.1 - along * dy)
                    }.min() ?? 0
                bytes.append(UInt8(max(0, min(1, 1.6 - distance)) * 255))
            }
        }
        return bytes
    }

    @Test func picturesOfStrokesAreSmallerThanGzip() throws {
        let file = Self.strokes(600, size: 20, seed: 4)
        #expect(RecordShape(of: file) == RecordShape(headerSize: 16, width: 400))
        let method = try DataCatalogue.method(for: Spec(parsing: "circuit:iterations=2"))
        let coded = try method.encode(file, CodingContext(pool: Self.pool))
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "strokes")
            try AtomicFile.write(file, to: path)
            let other = try gzip("-9c", path).count
            #expect(other > 1000 && coded.count < other, "\(coded.count) bytes, gzip \(other)")
        }
        var opened: [UInt8] = []
        try method.decode(CodedPayload(coded), count: file.count, into: &opened, CodingContext(pool: Self.pool))
        #expect(opened == file)
    }

    @Test(.enabled(if: TestData.has("mnist/t10k-images-idx3-ubyte.gz"), "needs mnist"))
    func imagesOfDigitsAreSmallerThanGzip() throws {
        // Of these 1000 images gzip -9 makes 157 327 bytes; the model has only these to learn from.
        let data = try gzip("-dc", #require(TestData.path("mnist/t10k-images-idx3-ubyte.gz")))
        #expect(RecordShape(of: data) == RecordShape(headerSize: 16, width: 784))
        let images = Array(data[16..<16 + 1000 * 784])
        let method = try DataCatalogue.method(for: Spec(parsing: "circuit:width=784,iterations=2"))
        let coded = try method.encode(images, CodingContext(pool: Self.pool))
        #expect(coded.count < 157_327, "\(coded.count)")
        var opened: [UInt8] = []
        try method.decode(CodedPayload(coded), count: images.count, into: &opened, CodingContext(pool: Self.pool))
        #expect(opened == images)
    }

    /// What gzip makes of a file.
    private func gzip(_ options: String, _ path: String) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", options, path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        return [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
    }
}
