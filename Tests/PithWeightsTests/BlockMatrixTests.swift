import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

@Suite("Matrices of GGUF's blocks")
struct BlockMatrixTests {
    /// A short row, whole blocks of rows, a rest, more tiles than are unpacked together.
    static let extents = [(1, 256), (16, 512), (35, 768), (20, 2304)]

    @Test("are multiplied as their blocks are decoded, with all kernels", arguments: GGUFSample.blockTypes, extents)
    func products(type: GGUFType, extents: (rows: Int, columns: Int)) throws {
        let (rows, columns) = extents
        var random = SeededGenerator(seed: UInt64(columns + 7 * rows) + UInt64(type.rawValue))
        let bytes = GGUFSample.randomBlocks(type, count: rows * columns / type.blockLength, &random)
        let region = ByteRegion(copying: bytes)
        let exact = Tensor(shape: [rows, columns], values: try type.decoded(region))
        for threads in [1, 3] {
            let matrix = try BlockMatrix(
                type, region, rows: rows, columns: columns, pool: ThreadPool(threads: threads))
            #expect(matrix.storedBits == bytes.count * 8)
            // Rows are padded to 16, and six bits become eight.
            if rows % 16 == 0 { #expect(Double(matrix.memoryBits - 512) <= 1.1 * Double(matrix.storedBits)) }
            expectProducts(of: matrix, exact, &random)
        }
    }

    @Test("heads of pairs become heads of halves")
    func order() throws {
        let (rows, columns) = (32, 64)
        var random = SeededGenerator(seed: 3)
        let region = ByteRegion(copying: GGUFSample.randomBlocks(.q80, count: rows * columns / 32, &random))
        let pool = ThreadPool(threads: 1)
        let plain = try BlockMatrix(.q80, region, rows: rows, columns: columns, pool: pool).decodedWeight()
        let ordered = try BlockMatrix(
            .q80, region, rows: rows, columns: columns, order: .unpairingHeads(of: 8), pool: pool
        ).decodedWeight()
        let places = [0, 2, 4, 6, 1, 3, 5, 7]
        for row in 0..<rows {
            let source = row / 8 * 8 + places[row % 8]
            #expect((0..<columns).allSatisfy { ordered[row, $0] == plain[source, $0] })
        }
        #expect(throws: PithError.self) {
            try BlockMatrix(.q80, region, rows: rows, columns: columns, order: .unpairingHeads(of: 24), pool: pool)
        }
    }

    @Test("what is not finite or does not fit is refused")
    func refusals() throws {
        var random = SeededGenerator(seed: 4)
        let pool = ThreadPool(threads: 1)
        for type in GGUFSample.blockTypes {
            var bytes = GGUFSample.randomBlocks(type, count: 32 * 256 / type.blockLength, &random)
            let count = bytes.count
            #expect(throws: PithError.self) {
                try BlockMatrix(type, ByteRegion(copying: bytes)[0..<count - 1], rows: 32, columns: 256, pool: pool)
            }
            let place = [.q2K: 80, .q3K: 108, .q6K: 208][type] ?? 0
            let last = count - type.blockBytes + place
            bytes[last] = 0xFF
            if type != .mxfp4 { bytes[last + 1] = 0x7C }
            #expect(throws: PithError.self, "\(type)") {
                try BlockMatrix(type, ByteRegion(copying: bytes), rows: 32, columns: 256, pool: pool)
            }
        }
        #expect(throws: PithError.self) {
            let block = ByteRegion(copying: [UInt8](repeating: 0, count: 36))
            return try BlockMatrix(.q81, block, rows: 1, columns: 32, pool: pool)
        }
    }

    @Test("matrices of a file are opened by name")
    func file() throws {
        var random = SeededGenerator(seed: 5)
        let blocks = GGUFSample.randomBlocks(.q4K, count: 16, &random)
        let sample = GGUFSample([
            .init("a.weight", [256, 16], type: 12, blocks),
            .init("norm", [4], type: 0, [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64]),
            .init("half", [2, 2], type: 1, [0, 60, 0, 64, 0, 66, 0, 68]),
            .init("strange", [32], type: 99, [0]),
        ])
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "a.gguf")
            try Data(sample.bytes).write(to: URL(fileURLWithPath: path))
            let file = try GGUFFile(path: path)
            let pool = ThreadPool(threads: 2)
            let exact = try GGUFType.q4K.decoded(ByteRegion(copying: blocks))
            #expect(try file.linear("a.weight", pool: pool).decodedWeight().values == exact)
            #expect(try file.values("a.weight").values == exact, "after its memory was given back")
            #expect(try file.linear("half", pool: pool).decodedWeight().values == [1, 2, 3, 4])
            let swapped = try file.linear("half", order: .unpairingHeads(of: 2), pool: pool)
            #expect(swapped.decodedWeight().values == [1, 2, 3, 4])
            #expect(try file.vector("norm", shape: [4]) == [1, 2, 3, 4])
            #expect(throws: PithError.self) { try file.vector("norm", shape: [5]) }
            #expect(throws: PithError.self) { try file.linear("norm", pool: pool) }
            for name in ["strange", "missing"] {
                #expect(throws: PithError.self) { try file.linear(name, pool: pool) }
            }
        }
    }
}
