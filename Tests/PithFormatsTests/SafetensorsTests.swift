import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

@Suite struct SafetensorsTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    static let tensors: [(name: String, tensor: StoredTensor)] = [
        ("half", StoredTensor(Tensor(shape: [3], values: [1, 2, 3]), as: .float16)),
        ("bytes", StoredTensor(bytes: [1, 2, 3, 4, 5], shape: [5])),
        ("matrix", StoredTensor(Tensor(shape: [2, 3], values: [1, 2, 3, 4, 5, 6]))),
        ("scalar", StoredTensor(Tensor(shape: [], values: [7]))),
        ("empty", StoredTensor(Tensor(shape: [0, 4], values: []))),
    ]

    /// A file with that header and so many bytes of data.
    func write(_ header: String, dataCount: Int, claimedLength: UInt64? = nil, to name: String = "x") throws -> String {
        let length = claimedLength ?? UInt64(header.utf8.count)
        let bytes = withUnsafeBytes(of: length.littleEndian, Array.init) + Array(header.utf8)
        try folder.write(bytes + [UInt8](repeating: 0, count: dataCount), to: name)
        return folder.file(name)
    }

    @Test func roundTrip() throws {
        let path = folder.file("a.safetensors")
        try SafetensorsWriter.write(Self.tensors, metadata: ["format": "pt", "b": "é"], to: path)
        let file = try SafetensorsFile(path)
        #expect(file.metadata == ["format": "pt", "b": "é"])
        #expect(file.names == ["bytes", "empty", "half", "matrix", "scalar"])
        for (name, tensor) in Self.tensors {
            let read = try #require(file[name])
            #expect(read.type == tensor.type)
            #expect(read.shape == tensor.shape)
            #expect(read.region.withBytes { Array($0) } == tensor.region.withBytes { Array($0) })
        }
        #expect(file["none"] == nil)
        #expect(try SafetensorsWriter.fileSize(of: Self.tensors, metadata: ["format": "pt", "b": "é"]) == file.size)
    }

    @Test func sameTensorsSameBytesInAnyOrder() throws {
        try SafetensorsWriter.write(Self.tensors, to: folder.file("a"))
        try SafetensorsWriter.write(Self.tensors.reversed(), to: folder.file("b"))
        let bytes = try Files.bytes(folder.file("a"))
        #expect(try Files.bytes(folder.file("b")) == bytes)
        let headerLength = Int(bytes[0]) + Int(bytes[1]) << 8
        #expect((8 + headerLength) % 64 == 0)
    }

    @Test func writesAFileWithoutTensors() throws {
        try SafetensorsWriter.write([], to: folder.file("a"))
        #expect(try SafetensorsFile(folder.file("a")).names.isEmpty)
    }

    @Test func refusesToWriteANameTwice() {
        #expect(throws: PithError.self) {
            try SafetensorsWriter.write([Self.tensors[0], Self.tensors[0]], to: folder.file("a"))
        }
        #expect(!Files.exists(folder.file("a")))
    }

    @Test(arguments: [
        ("unknown type", #"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, 4),
        ("shape and offsets differ", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4),
        ("overflow", #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
        ("zero hides overflow", #"{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}"#, 0),
        ("negative extent", #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
        ("negative offset", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4),
        ("backward", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4),
        ("beyond the end", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4),
        ("bytes left over", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5),
        (
            "hole",
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
                + #""b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#, 3
        ),
        (
            "overlap",
            #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"#
                + #""b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3
        ),
        (
            "name twice",
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
                + #""a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2
        ),
        ("metadata is no text", #"{"__metadata__":{"a":1}}"#, 0),
        ("no object", "[]", 0), ("space first", " {}", 0),
        (
            "three offsets",
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}"#, 1
        ),
        ("no shape", #"{"a":{"dtype":"U8","data_offsets":[0,1]}}"#, 1),
    ])
    func refuses(_ what: String, _ header: String, _ dataCount: Int) throws {
        let path = try write(header, dataCount: dataCount)
        let error = #expect(throws: PithError.self, "\(what)") { try SafetensorsFile(path) }
        #expect(error?.kind == .data)
        #expect(error?.place?.hasPrefix(path) == true)
    }

    @Test func refusesLyingHeaderLengths() throws {
        for length in [0, 1, 3, 100_000_001, UInt64.max, UInt64(Int.max)] {
            let path = try write("{}", dataCount: 0, claimedLength: length)
            #expect(throws: PithError.self) { try SafetensorsFile(path) }
        }
        try folder.write([], to: "none")
        #expect(throws: PithError.self) { try SafetensorsFile(folder.file("none")) }
        try folder.write([1, 2, 3], to: "short")
        #expect(throws: PithError.self) { try SafetensorsFile(folder.file("short")) }
    }

    @Test func acceptsPaddingAndUnorderedEntries() throws {
        let path = try write(
            #"{"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"#
                + #""a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   "#, dataCount: 3)
        #expect(try SafetensorsFile(path).names == ["a", "b"])
    }

    @Test func acceptsMetadataThatIsNull() throws {
        let path = try write(
            #"{"__metadata__":null,"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, dataCount: 2)
        #expect(try SafetensorsFile(path).names == ["a"] && SafetensorsFile(path).metadata.isEmpty)
    }

    @Test func readsAFileOfAnotherProgram() throws {
        let file = try SafetensorsFile(TestData.golden("reference.safetensors"))
        #expect(file.metadata == ["made": "elsewhere"])
        #expect(try #require(file["matrix"]).decoded().values == [0, 1, 2, 3, 4, 5])
        #expect(try #require(file["half"]).decoded().values == [0.5, -2])
        #expect(try #require(file["long"]).type == .int64)
    }
}

@Suite struct TensorArchiveTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    func writeShards(index: String) throws {
        let tensors = SafetensorsTests.tensors
        try SafetensorsWriter.write(Array(tensors[..<2]), to: folder.file("m-1.safetensors"))
        try SafetensorsWriter.write(Array(tensors[2...]), to: folder.file("m-2.safetensors"))
        try folder.write(Array(index.utf8), to: TensorArchive.indexName)
    }

    static let entries =
        #""half":"m-1.safetensors","bytes":"m-1.safetensors","matrix":"m-2.safetensors","#
        + #""scalar":"m-2.safetensors","empty":"m-2.safetensors""#

    @Test func opensOneFile() throws {
        try SafetensorsWriter.write(SafetensorsTests.tensors, to: folder.file(TensorArchive.fileName))
        let archive = try TensorArchive(folder: folder.path)
        #expect(archive.files == [folder.file(TensorArchive.fileName)])
        #expect(try archive.tensor("matrix").decoded().values == [1, 2, 3, 4, 5, 6])
        #expect(archive.totalBytes == (try Files.size(archive.files[0])))
        #expect(throws: PithError.self) { try archive.tensor("none") }
    }

    @Test func opensShards() throws {
        try writeShards(index: "{\"metadata\":{},\"weight_map\":{\(Self.entries)}}")
        let archive = try TensorArchive(folder: folder.path)
        #expect(archive.names == ["bytes", "empty", "half", "matrix", "scalar"])
        #expect(archive.files.count == 2)
        #expect(try archive.tensor("half").decoded().values == [1, 2, 3])
    }

    @Test(arguments: [
        "{}", "{\"weight_map\":{}}", "{\"weight_map\":{\(entries),\"more\":\"m-1.safetensors\"}}",
        "{\"weight_map\":{\"half\":\"m-1.safetensors\"}}",
        "{\"weight_map\":{\(entries),\"x\":\"../m-1.safetensors\"}}",
        "{\"weight_map\":{\(entries),\"x\":\"/etc/m-1.safetensors\"}}",
        "{\"weight_map\":{\(entries),\"x\":\"..\\u002f\\u0301m-1.safetensors\"}}",
        "{\"weight_map\":{\(entries),\"x\":\"m-3.safetensors\"}}", "{\"weight_map\":{\(entries),\"x\":1}}",
    ])
    func refusesIndex(_ index: String) throws {
        try writeShards(index: index)
        #expect(throws: PithError.self) { try TensorArchive(folder: folder.path) }
    }

    @Test func refusesAnEmptyFolder() {
        #expect(throws: PithError.self) { try TensorArchive(folder: folder.path) }
    }

    @Test(.enabled(if: TestData.has("tinystories-656k-hf/model.safetensors"), "needs tinystories-656k-hf"))
    func opensARealModel() throws {
        let folder = TestData.path("tinystories-656k-hf")
        let archive = try TensorArchive(folder: folder)
        let configuration = try Architectures.open(folder: folder).configuration
        // The one matrix of a model with a tied head may be stored under the name of either.
        let embedding = try archive.tensor("lm_head.weight")
        #expect(embedding.shape == [configuration.vocabularySize, configuration.hiddenSize])
    }
}
