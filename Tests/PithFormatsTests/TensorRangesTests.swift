import Foundation
import PithCore
import PithFormats
import PithReaders
import PithTensor
import PithTestSupport
import Testing

/// Where tensors lie in the files that hold them.
@Suite struct TensorRangesTests {
    static let gguf = GGUFSample([
        .init("token_embd.weight", [5, 7], type: 30, [UInt8](repeating: 1, count: 70)),
        .init("blk.0.attn_q.weight", [64, 3], type: 2, [UInt8](repeating: 2, count: 6 * 18)),
        .init("blk.0.unknown.weight", [64, 3], type: 99, [UInt8](repeating: 9, count: 31)),
        .init("blk.0.ffn_up.weight", [256, 2], type: 12, [UInt8](repeating: 3, count: 2 * 144)),
        .init("output_norm.weight", [5], type: 0, [UInt8](repeating: 4, count: 20)),
    ])

    @Test func tableOfGGUF() throws {
        for alignment in [32, 64, 8] {
            let file = GGUFSample(
                [
                    .init("a", [32, 2], type: 2, [UInt8](repeating: 7, count: 36)),
                    .init("b", [3], type: 1, [UInt8](repeating: 8, count: 6)),
                ], alignment: alignment)
            let ranges = try GGUFTensors.ranges(in: ByteRegion(copying: file.bytes))
            #expect(ranges.map(\.name) == ["a", "b"])
            for (range, byte) in zip(ranges, [UInt8(7), 8]) {
                #expect(file.bytes[range.range].allSatisfy { $0 == byte })
            }
        }
        let ranges = try GGUFTensors.ranges(in: ByteRegion(copying: Self.gguf.bytes))
        #expect(ranges.map(\.encoding) == [.elements(.bfloat16), .blocks(18), .blocks(144), .elements(.float32)])
        #expect(ranges.map(\.range.count) == [70, 108, 288, 20])
        #expect(ranges[0].range.lowerBound == Self.gguf.dataStart)
        for (range, byte) in zip(ranges, [UInt8(1), 2, 3, 4]) {
            #expect(Self.gguf.bytes[range.range].allSatisfy { $0 == byte })
        }
    }

    @Test func damagedTablesOfGGUF() {
        let whole = Self.gguf.bytes
        var (mutator, refused) = (Mutator(seed: 3), 0)
        for copy in 0..<3000 {
            // The head alone is damaged: behind it is nothing to be read.
            let head = Array(whole[..<Self.gguf.dataStart])
            let damaged = mutator.damaged(head) + (copy % 2 == 0 ? whole[Self.gguf.dataStart...] : [])
            do {
                let ranges = try GGUFTensors.ranges(in: ByteRegion(copying: damaged))
                var end = 0
                for range in ranges {
                    #expect(range.range.lowerBound >= end && range.range.upperBound <= damaged.count)
                    end = range.range.upperBound
                }
            } catch {
                #expect(error.kind == .data && !error.message.isEmpty)
                refused += 1
            }
        }
        #expect(refused > 1500)
    }

    /// Vocabularies come as heads alone, which may end before the padding.
    @Test func headsWithoutTensors() throws {
        for alignment in [8, 32, 64] {
            let file = GGUFSample([], alignment: alignment)
            for count in [file.bytes.count, file.headEnd] {
                #expect(try GGUFTensors.ranges(in: ByteRegion(copying: Array(file.bytes[..<count]))).isEmpty)
            }
            for count in 0..<file.headEnd {
                let cut = ByteRegion(copying: Array(file.bytes[..<count]))
                #expect(throws: PithError.self, "\(count)") { try GGUFTensors.ranges(in: cut) }
            }
        }
    }

    @Test(.enabled(if: TestData.has("llamacpp-vocab"), "needs llamacpp-vocab"))
    func vocabularies() throws {
        let folder = TestData.path("llamacpp-vocab")
        for name in try Files.names(in: folder) where name.hasSuffix(".gguf") {
            // Heads alone, without tensors.
            #expect(try GGUFTensors.ranges(in: MappedFile.open(joinPath(folder, name))).isEmpty, "\(name)")
        }
    }

    @Test func safetensors() throws {
        let folder = try TemporaryFolder()
        try SafetensorsWriter.write(SafetensorsTests.tensors, metadata: [:], to: folder.file("a"))
        let (region, file) = (try MappedFile.open(folder.file("a")), try SafetensorsFile(folder.file("a")))
        let ranges = try SafetensorsFile.ranges(in: region)
        #expect(ranges.map(\.name).sorted() == file.names)
        for range in ranges {
            let tensor = try #require(file[range.name])
            #expect(range.encoding == .elements(tensor.type))
            #expect(region[range.range].bytes.elementsEqual(tensor.region.bytes), "\(range.name)")
        }
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.range.upperBound <= $1.range.lowerBound })
        for length in 0..<min(200, region.count) {
            #expect(throws: PithError.self) { try SafetensorsFile.ranges(in: region[0..<length]) }
        }
    }
}
