import PithCore
import PithFormats
import PithReaders
import PithTensor
import PithTestSupport
import Testing

/// GGUF files: their heads, their types of blocks, and the models that are split into several.
@Suite struct GGUFTests {
    typealias TestData = PithFormatsTests.TestData

    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    /// A head without tensors.
    static func head(_ pairs: [(String, GGUFHeadWriter.Value)], version: UInt32 = 3) -> [UInt8] {
        GGUFHeadWriter(pairs, version: version).bytes
    }

    func open(_ bytes: [UInt8], _ name: String = "a.gguf") throws -> GGUFFile {
        try folder.write(bytes, to: name)
        return try GGUFFile(path: folder.file(name))
    }

    @Test(arguments: GGUFType.allCases.filter { $0.form != nil })
    func blocksAreDecodedAsElsewhere(_ type: GGUFType) throws {
        let golden = try SafetensorsFile(TestData.golden("gguf-blocks.safetensors"))
        let blocks = try #require(golden[type.name + ".blocks"]).region
        let values = try #require(golden[type.name + ".values"]).decoded().values
        #expect(try type.decoded(blocks) == values)
    }

    @Test func valuesOfAllTypes() throws {
        let pairs: [(String, GGUFHeadWriter.Value)] = [
            ("general.architecture", .text("llama")), ("llama.context_length", .unsigned(77)), ("real", .real(0.5)),
            ("signed", .signed(-3)), ("flag", .flag(true)), ("texts", .texts(["a", "", "日本"])),
            ("numbers", .integers([1, -2, 3])), ("floats", .reals([1.5, -2])),
            ("nested", .nested([[1, 2], [], [3]])),
        ]
        for version in [2, 3] as [UInt32] {
            let file = try open(Self.head(pairs, version: version))
            #expect(file.architecture == "llama" && file.tensors.isEmpty && file.metadata.count == pairs.count)
            #expect(file[hyperparameter: "context_length"]?.integer == 77)
            #expect(file.metadata["real"]?.number == 0.5 && file.metadata["signed"]?.integer == -3)
            #expect(file.metadata["flag"]?.truth == true)
            #expect(file.metadata["texts"]?.values?.strings == ["a", "", "日本"])
            #expect(file.metadata["numbers"]?.values?.integers == [1, -2, 3])
            #expect(file.metadata["floats"]?.values?.floats == [1.5, -2])
            let nested = try #require(file.metadata["nested"]?.values).elements.map { $0.values?.integers }
            #expect(nested == [[1, 2], [], [3]])
        }
    }

    @Test func headsThatAreRefused() throws {
        let text = GGUFHeadWriter.Value.text("x")
        #expect(throws: PithError.self) { try open(Self.head([("a", text), ("a", text)])) }
        #expect(throws: PithError.self) { try open(Self.head([], version: 1)) }
        #expect(throws: PithError.self) { try open(Self.head([], version: UInt32(3).byteSwapped)) }
        #expect(throws: PithError.self) { try open(Self.head([("general.alignment", .unsigned(48))])) }
        #expect(throws: PithError.self) { try open(Self.head([("deep", .deep(50))])) }
        let block = [UInt8](repeating: 0, count: 18)
        for tensors: [GGUFSample.Tensor] in [
            [.init("a", [32], type: 2, block), .init("a", [32], type: 2, block)], [.init("a", [31], type: 2, block)],
            [.init("a", [32, 3], type: 2, block)], [.init("a", [1 << 40, 1 << 40], type: 0, block)],
        ] {
            #expect(throws: PithError.self) { try open(GGUFSample(tensors).bytes) }
        }
    }

    @Test func modelsInParts() throws {
        func part(_ number: Int, of count: Int) -> [UInt8] {
            GGUFHeadWriter([
                ("split.no", .unsigned(UInt64(number))), ("split.count", .unsigned(UInt64(count))),
                ("split.tensors.count", .unsigned(2)),
            ]).bytes(tensor: "t\(number)", Float(number))
        }
        try folder.write(part(0, of: 2), to: "m-00001-of-00002.gguf")
        #expect(throws: PithError.self) { try GGUFFile(path: folder.file("m-00001-of-00002.gguf")) }
        try folder.write(part(1, of: 2), to: "m-00002-of-00002.gguf")
        let file = try GGUFFile(path: folder.file("m-00001-of-00002.gguf"))
        #expect(file.tensors.map(\.name) == ["t0", "t1"])
        #expect(try file.values("t1").values == [1] && file.values("t0").values == [0])
        #expect(throws: PithError.self) { try GGUFFile(path: folder.file("m-00002-of-00002.gguf")) }
        try folder.write(part(0, of: 2), to: "m-00002-of-00002.gguf")
        #expect(throws: PithError.self) { try GGUFFile(path: folder.file("m-00001-of-00002.gguf")) }
    }

    @Test func damagedFiles() throws {
        let whole = Self.head([
            ("general.architecture", .text("llama")), ("texts", .texts(["a", "bc", ""])),
            ("nested", .nested([[1], [2]])), ("numbers", .integers([1, 2, 3])), ("general.alignment", .unsigned(32)),
        ])
        var (mutator, refused) = (Mutator(seed: 11), 0)
        for _ in 0..<1500 {
            do {
                let file = try open(mutator.damaged(whole))
                for value in file.metadata.values { _ = value.values?.elements.count }
            } catch let error as PithError {
                #expect(error.kind == .data)
                refused += 1
            }
        }
        #expect(refused > 500)
    }
}

/// Writes heads of GGUF files.
struct GGUFHeadWriter {
    enum Value {
        case unsigned(UInt64), signed(Int32), real(Double), flag(Bool), text(String)
        case texts([String]), integers([Int32]), reals([Float]), nested([[Int32]]), deep(Int)
    }

    private let version: UInt32
    private let pairs: [(String, Value)]

    init(_ pairs: [(String, Value)], version: UInt32 = 3) { (self.pairs, self.version) = (pairs, version) }

    /// A file without tensors.
    var bytes: [UInt8] { bytes(tensors: []) }

    /// A file with one tensor of one float.
    func bytes(tensor name: String, _ value: Float) -> [UInt8] {
        let entry = text(name) + number(UInt32(1)) + number(UInt64(1)) + number(UInt32(0)) + number(UInt64(0))
        var bytes = bytes(tensors: entry, count: 1)
        bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
        return bytes + number(value.bitPattern)
    }

    private func bytes(tensors: [UInt8], count: UInt64 = 0) -> [UInt8] {
        var bytes = Array("GGUF".utf8) + number(version) + number(count) + number(UInt64(pairs.count))
        for (key, value) in pairs { bytes += text(key) + encoded(value) }
        return bytes + tensors
    }

    private func number<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
    private func text(_ text: String) -> [UInt8] { number(UInt64(text.utf8.count)) + Array(text.utf8) }
    private func array(_ type: UInt32, _ items: [[UInt8]]) -> [UInt8] {
        number(type) + number(UInt64(items.count)) + items.flatMap { $0 }
    }

    private func encoded(_ value: Value) -> [UInt8] {
        switch value {
        // The alignment must be of 32 bits; others may be of 64.
        case .unsigned(let value):
            value < 256 ? number(UInt32(4)) + number(UInt32(value)) : number(UInt32(10)) + number(value)
        case .signed(let value): number(UInt32(5)) + number(value)
        case .real(let value): number(UInt32(12)) + number(value.bitPattern)
        case .flag(let value): number(UInt32(7)) + [value ? 1 : 0]
        case .text(let value): number(UInt32(8)) + text(value)
        case .texts(let values): number(UInt32(9)) + array(8, values.map(text))
        case .integers(let values): number(UInt32(9)) + array(5, values.map { number($0) })
        case .reals(let values): number(UInt32(9)) + array(6, values.map { number($0.bitPattern) })
        case .nested(let values): number(UInt32(9)) + array(9, values.map { array(5, $0.map { number($0) }) })
        case .deep(let depth): number(UInt32(9)) + (0..<depth).flatMap { _ in number(UInt32(9)) + number(UInt64(1)) }
        }
    }
}
