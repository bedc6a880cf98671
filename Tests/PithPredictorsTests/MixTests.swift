import PithCoding
import PithCore
import PithPredictors
import PithTensor
import Testing

/// The mixing engine through its method.
struct MixTests {
    static let context = CodingContext(pool: ThreadPool(threads: 1))

    /// Sentences of a small vocabulary, from a seed.
    static func sentences(_ count: Int, seed: UInt64 = 3) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        let words = ["the", "Model", "reads", "bytes", "of a", "row,", "and", "writes.", "2048", "(less)", "columns\n"]
        var text = ""
        while text.utf8.count < count { text += words[Int(random.next() % UInt64(words.count))] + " " }
        return Array(text.utf8.prefix(count))
    }

    /// A picture that changes slowly, with a little noise.
    static func picture(rows: Int, width: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 4)
        return (0..<rows * width).map { index in
            UInt8(truncatingIfNeeded: (index / width) * 2 + (index % width) / 3 + Int(random.next() % 3))
        }
    }

    /// A picture of one bit a pixel: a slanted bar.
    static func bar(rows: Int, width: Int) -> [UInt8] {
        (0..<rows * width).map { index in
            let (row, column) = (index / width, index % width)
            return (column * 8 + 4 - row).magnitude < 24 ? 255 : column * 8 < row ? 1 : 0
        }
    }

    private func coded(_ bytes: [UInt8], _ spec: String) throws -> [UInt8] {
        try DataCatalogue.method(for: Spec(parsing: spec)).encode(bytes, Self.context)
    }

    private func opened(_ payload: [UInt8], _ count: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        let method = try DataCatalogue.method(for: Spec(parsing: "mix"))
        try method.decode(CodedPayload(payload), count: count, into: &output, Self.context)
        return output
    }

    private func digest(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) } }

    @Test(arguments: [
        "mix:effort=best", "mix:content=binary,width=7", "mix:content=image1,width=16", "mix:content=image8,width=48",
        "mix:content=image24,width=48,effort=best", "mix:content=audio16,width=4", "mix:content=text",
    ])
    func roundTripsAsAnyContent(spec: String) throws {
        for bytes in [[], [9], Self.sentences(3000), Self.picture(rows: 40, width: 48), Self.bar(rows: 90, width: 16)] {
            let payload = try coded(bytes, spec)
            let output = try opened(payload, bytes.count)
            #expect(output == bytes)
        }
    }

    @Test func contentsAreWorthTheirName() throws {
        let grey = Self.picture(rows: 100, width: 48)
        let (asGrey, asText) = (try coded(grey, "mix:content=image8,width=48"), try coded(grey, "mix:content=text"))
        #expect(asGrey.count < asText.count)
        let bilevel = Self.bar(rows: 400, width: 16)
        let (asPixels, asBytes) = (
            try coded(bilevel, "mix:content=image1,width=16"), try coded(bilevel, "mix:content=text")
        )
        #expect(asPixels.count < asBytes.count)
    }

    @Test func contentIsSeen() {
        func content(_ bytes: [UInt8]) -> MixSettings { ContentDetection.settings(for: bytes, effort: .default) }
        #expect(content(Self.sentences(2000)).content == .text)
        var random = SeededGenerator(seed: 8)
        let records = (0..<900).flatMap { index -> [UInt8] in
            [200, 3, UInt8(index & 255), UInt8(random.next() & 255), 7, 1, 0]
        }
        #expect(content(records).content == .binary)
        #expect(content(records).width == 7)
    }

    /// The form of a payload is fixed: what this digest says was coded must be opened for ever.
    @Test func codedBytesStay() throws {
        let picture = Self.picture(rows: 60, width: 48)
        let (first, second) = (
            try coded(Self.sentences(5000), "mix"), try coded(picture, "mix:effort=best,content=image8,width=48")
        )
        #expect(digest(first) == "4527aedffdba4a574fcd4fc28776460e6764eaff4414ae66ea22a9a035fc6df2")
        #expect(digest(second) == "a5cdaca0c4c27480819026a0dc3491a06a66b3a14d7137a3829712508613f5af")
    }

    @Test func traceCountsTheBits() throws {
        let trace = CodingTrace(regionSize: 1000)
        let bytes = Self.sentences(4500)
        let method = try DataCatalogue.method(for: Spec(parsing: "mix"))
        let payload = try method.encode(bytes, CodingContext(pool: ThreadPool(threads: 1), trace: trace))
        let contents = trace.contents
        #expect(contents.regionBits.count == 5)
        #expect(abs(contents.regionBits.reduce(0, +) / 8 - Double(payload.count)) < 16)
        let names = contents.modelBits.map(\.name)
        #expect(names.contains("orders") && names.contains("words") && names.contains("match"))
        let untraced = try coded(bytes, "mix")
        #expect(payload == untraced)
    }
}
