import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

/// Random codes of a matrix, some of them left out.
private struct SparseCodes {
    let rows: Int
    let columns: Int
    let bits: Int
    let group: Int
    let codes: [UInt8]
    let kept: [Bool]
    let scales: [Float]
    let zeros: [UInt8]?

    init(_ extents: (rows: Int, columns: Int, group: Int), bits: Int, hasZeros: Bool, keep: (Int, Int) -> Bool) {
        (rows, columns, group) = extents
        self.bits = bits
        let (rows, columns) = (rows, columns)
        let groups = (columns + group - 1) / group
        var random = SeededGenerator(seed: UInt64(bits * columns + rows))
        codes = (0..<rows * columns).map { _ in UInt8(random.index(below: 1 << bits)) }
        kept = (0..<rows * columns).map { keep($0 / columns, $0 % columns) }
        scales = roundedToHalf((0..<rows * groups).map { _ in random.uniform() })
        zeros = hasZeros ? (0..<rows * groups).map { _ in UInt8(random.index(below: 1 << bits)) } : nil
    }

    /// What they mean, [rows, columns].
    var weight: Tensor {
        Tensor(
            shape: [rows, columns],
            values: codes.indices.map { i in
                let place = i / columns * ((columns + group - 1) / group) + i % columns / group
                let zero = Float(zeros?[place] ?? 1 << UInt8(bits - 1))
                return kept[i] ? (Float(codes[i]) - zero) * scales[place] : 0
            })
    }

    func masked() throws(PithError) -> MaskedCodes {
        try MaskedCodes(
            codes: codes, keeping: kept, scales: scales, zeros: zeros, rows: rows, columns: columns, bits: bits,
            groupSize: group)
    }

    func tiles() throws(PithError) -> TileCodes {
        try TileCodes(
            codes: codes, keeping: kept, scales: scales, zeros: zeros, rows: rows, columns: columns, bits: bits,
            groupSize: group)
    }
}

@Suite("Integer codes of some weights")
struct SparseCodesTests {
    /// The matrix is exactly `weight`, and products are those of it, with the same bits however they are made.
    private func check(_ stored: any StoredLinear & RowDecodable, is weight: Tensor) {
        var random = SeededGenerator(seed: 3)
        let input = random.normalTensor([19, weight.columns])
        let products = LinearAlgebra.product(input, .plain, weight, .transposed)
        for precision in ActivationPrecision.allCases {
            var first: Tensor?
            KernelPath.useEach { path in
                #expect(stored.decodedWeight() == weight, "\(path)")
                let found = input.multiplied(by: stored, precision)
                #expect(found == first ?? found, "\(path) gives other bits")
                first = found
                #expect(input.rows(1..<2).multiplied(by: stored, precision) == found.rows(1..<2), "\(path)")
                #expect(input.rows(4..<6).multiplied(by: stored, precision) == found.rows(4..<6), "\(path)")
                #expect(input.rows(7..<13).multiplied(by: stored, precision) == found.rows(7..<13), "\(path)")
                let error = (found - products).squaredNorm.squareRoot()
                #expect(error <= (precision == .float ? 1e-5 : 0.02) * products.squaredNorm.squareRoot())
            }
        }
    }

    static let extents = [(1, 1, 32), (5, 16, 64), (17, 64, 32), (7, 95, 64), (35, 200, 200), (18, 4200, 128)]

    @Test("masked codes are exactly what was kept", arguments: 2...8, extents)
    func masked(bits: Int, extents: (rows: Int, columns: Int, group: Int)) throws {
        var random = SeededGenerator(seed: UInt64(bits))
        for share in [0, 0.1, 0.5, 1] as [Float] {
            let sparse = SparseCodes(extents, bits: bits, hasZeros: share != 0.5) { _, _ in random.uniform() < share }
            check(try sparse.masked(), is: sparse.weight)
        }
    }

    @Test("tiles are exactly what was kept", arguments: 2...8, extents)
    func tiles(bits: Int, extents: (rows: Int, columns: Int, group: Int)) throws {
        for (modulus, hasZeros) in [(1, false), (2, true), (3, false), (100, true)] {
            let sparse = SparseCodes(extents, bits: bits, hasZeros: hasZeros) {
                ($0 / 16 + $1 / 32 + 1) % modulus == 0
            }
            check(try sparse.tiles(), is: sparse.weight)
        }
    }

    @Test("masks cost a bit, codes of 2:4 half of theirs, tiles what they hold", arguments: 2...8)
    func sizes(bits: Int) throws {
        let (rows, columns) = (64, 256)
        let pairs = SparseCodes((rows, columns, 64), bits: bits, hasZeros: true) { ($0 + $1) % 4 < 2 }
        // 24 bits for each group, 32 for each block, and 64 bytes of room.
        let grid = rows * columns / 64 * 24
        #expect(try pairs.masked().storedBits == rows * columns * (2 + bits) / 2 + grid + 4 * 32 + 512)
        let tiles = SparseCodes((rows, columns, 64), bits: bits, hasZeros: true) { $1 / 32 % 4 == $0 / 16 }
        #expect(try tiles.tiles().storedBits == rows * columns / 4 * bits + grid + 8 * 16 + 5 * 32)
    }

    @Test("damaged parts are refused")
    func damage() throws {
        let sparse = SparseCodes((20, 70, 64), bits: 3, hasZeros: true) { $0 >= 16 && ($0 + $1) % 3 > 0 }
        let whole = SparseCodes((20, 70, 64), bits: 3, hasZeros: true) { row, _ in row >= 16 }
        func expectRefusal(_ stored: any StoredLinear, _ change: (inout StoredParts) -> Void) {
            var parts = stored.stored
            change(&parts)
            #expect(throws: PithError.self) {
                try WeightLayouts.catalogue.open(type(of: stored).layout, parts, shape: [20, 70])
            }
        }
        func bytes(_ name: String, of stored: any StoredLinear, _ change: (inout [UInt8]) -> Void) {
            expectRefusal(stored) { parts in
                guard let tensor = parts.tensors[name] else { return }
                var bytes = Array(tensor.region.bytes)
                change(&bytes)
                var shape = tensor.shape
                shape[0] += (bytes.count - tensor.byteCount) / (tensor.byteCount / max(1, shape[0]))
                parts.tensors[name] = StoredTensor(type: tensor.type, shape: shape, region: ByteRegion(copying: bytes))
            }
        }
        let (masked, tiles) = (try sparse.masked(), try whole.tiles())
        // A weight more in the matrix, one in a column and one in a row beyond the last.
        for place in [0, 2 * 64 + 16, 3 * 64 + 2] { bytes("mask", of: masked) { $0[place] |= 1 } }
        for name in ["codes", "offsets"] { bytes(name, of: masked) { $0.removeLast(4) } }
        bytes("offsets", of: masked) { $0[4] += 1 }
        // Tiles that do not ascend, that are none, and offsets that do not end with the last.
        bytes("tiles", of: tiles) { $0[2] = 0 }
        bytes("tiles", of: tiles) { $0[4] = 3 }
        bytes("tiles", of: tiles) { $0.removeLast(2) }
        for place in [0, 4, 8] { bytes("offsets", of: tiles) { $0[place] += 4 } }
    }
}
