import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Packed layouts of codes that are names")
struct PackedLayoutTests {
    /// Odd and even extents: short rows, short groups, several groups, whole rows, more tiles than five and a rest.
    static let extents = [
        (1, 1, 32), (5, 16, 64), (3, 33, 32), (17, 64, 32), (7, 95, 64), (35, 200, 200), (16, 160, 64), (18, 4200, 128),
    ]

    @Test("codes of a table mean entry · scale, with all kernels", arguments: 2...8, extents)
    func codebook(bits: Int, extents: (rows: Int, columns: Int, group: Int)) throws {
        let (rows, columns, group) = extents
        var random = SeededGenerator(seed: UInt64(bits * columns))
        let codes = (0..<rows * columns).map { _ in UInt8(random.index(below: 1 << bits)) }
        let codebook = (0..<1 << bits).map { _ in Int8(random.index(below: 255) - 127) }
        let scales = random.scales(rows, columns, group)
        let stored = try CodebookCodes(
            codes: codes, codebook: codebook, scales: scales, rows: rows, columns: columns, bits: bits, groupSize: group
        )
        expectProducts(
            of: stored, scaled([rows, columns], group, scales) { Float(codebook[Int(codes[$0])]) }, &random)
    }

    @Test("trits mean −1, 0 and 1, times a scale, with all kernels", arguments: extents)
    func ternary(rows: Int, columns: Int, group: Int) throws {
        var random = SeededGenerator(seed: UInt64(columns))
        let signs = (0..<rows * columns).map { _ in Int8(random.index(below: 3) - 1) }
        let scales = random.scales(rows, columns, group)
        let stored = try TernaryCodes(signs: signs, scales: scales, rows: rows, columns: columns, groupSize: group)
        expectProducts(of: stored, scaled([rows, columns], group, scales) { Float(signs[$0]) }, &random)
    }

    @Test(
        "vectors mean the sum of entries, times a scale, with all kernels",
        arguments: [(4, 1), (4, 3), (8, 1), (8, 2), (8, 4)], extents)
    func vectors(form: (dimension: Int, codebooks: Int), extents: (rows: Int, columns: Int, group: Int)) throws {
        let ((dimension, codebooks), (rows, columns, group)) = (form, extents)
        var random = SeededGenerator(seed: UInt64(dimension * codebooks * columns))
        let chunks = (columns + dimension - 1) / dimension
        let codes = (0..<codebooks).map { _ in (0..<rows * chunks).map { _ in UInt8(random.index(below: 256)) } }
        // Fewer entries in a codebook for the smaller matrices; codes beyond them mean zero.
        let count = rows < 16 ? 200 : 256
        let entries = (0..<codebooks * count * dimension).map { _ in Int8(random.index(below: 256) - 128) }
        let scales = random.scales(rows, columns, group)
        let stored = try VectorCodes(
            codes: codes, codebooks: entries, dimension: dimension, scales: scales, rows: rows, columns: columns,
            groupSize: group)
        let exact = scaled([rows, columns], group, scales) { place in
            let (row, column) = (place / columns, place % columns)
            let sum = (0..<codebooks).reduce(Int8(0)) {
                let code = Int(codes[$1][row * chunks + column / dimension])
                guard code < count else { return $0 }
                return $0 &+ entries[($1 * count + code) * dimension + column % dimension]
            }
            return Float(sum)
        }
        expectProducts(of: stored, exact, &random)
    }

    @Test("a product of stored matrices is their product, with all kernels")
    func product() throws {
        let problem = LayerProblem(outputs: 40, inputs: 160, samples: 300, seed: 5)
        let half = try #require(try problem.compress("svd:rank=32") as? LowRank)
        let parts = half.stored.tensors
        let (left, right) = (try #require(parts["left"]), try #require(parts["right"]))
        let plain = try ProductOperator(left: DenseOperator(left), right: DenseOperator(right))
        let rounded = try #require(try problem.compress("svd:rank=32,bits=8") as? ProductOperator)
        let input = problem.inputs.rows(0..<19)
        #expect(input.multiplied(by: plain) == input.multiplied(by: half))
        let middle = input.multiplied(by: rounded.right)
        #expect(input.multiplied(by: rounded) == middle.multiplied(by: rounded.left))
        for precision in ActivationPrecision.allCases {
            let products = input.multiplied(by: rounded, precision)
            KernelPath.useEach { path in
                #expect(input.multiplied(by: rounded, precision) == products, "\(path)")
                #expect(input.rows(2..<3).multiplied(by: rounded, precision) == products.rows(2..<3), "\(path)")
            }
        }
        #expect(throws: PithError.self) { try ProductOperator(left: rounded.right, right: rounded.left) }
    }

    @Test("bits of a weight are as said")
    func bits() throws {
        let problem = LayerProblem(outputs: 64, inputs: 2048, samples: 8, seed: 6)
        let count = problem.weight.count
        func bits(_ spec: String) throws -> Int { try problem.compress(spec).storedBits }
        // Scales have 16 bits, entries 8.
        #expect(try bits("codebook:levels=nf4") == (4 * 64 + 16) * count / 64 + 8 * 16)
        #expect(try bits("codebook:bits=3,group=128") == (3 * 128 + 16) * count / 128 + 8 * 8)
        // 64 tiles: twelve times five in 8 bits, four in 7.
        #expect(try bits("ternary:group=0") == 8 * 4 * (12 * 512 + 7 * 64) + 64 * 16)
        #expect(try bits("vq:dimension=8,codebooks=2") == 2 * count + 64 * 16 + 2 * 256 * 8 * 8)
        #expect(try bits("vq:dimension=4,codebooks=1,group=64") == (2 * 64 + 16) * count / 64 + 256 * 4 * 8)
    }

    @Test("an entry that has no opposite is refused")
    func entries() throws {
        let stored = try CodebookCodes(
            codes: [0], codebook: [-1, 0, 1, 2], scales: [1], rows: 1, columns: 1, bits: 2, groupSize: 32)
        var parts = stored.stored
        parts.tensors["codebook"] = StoredTensor(
            type: .int8, shape: [4], region: ByteRegion(copying: [Int8](arrayLiteral: -128, 0, 1, 2)))
        #expect(throws: PithError.self) { try WeightLayouts.catalogue.open("codebook", parts, shape: [1, 1]) }
    }

    /// [rows, columns] of some levels, times the scales of their groups.
    private func scaled(_ shape: [Int], _ group: Int, _ scales: [Float], _ level: (Int) -> Float) -> Tensor {
        let groups = (shape[1] + group - 1) / group
        return Tensor(
            shape: shape,
            values: (0..<shape[0] * shape[1]).map { level($0) * scales[$0 / shape[1] * groups + $0 % shape[1] / group] }
        )
    }
}

extension SeededGenerator {
    /// Scales as they are stored, [rows, groups].
    fileprivate mutating func scales(_ rows: Int, _ columns: Int, _ group: Int) -> [Float] {
        roundedToHalf((0..<rows * ((columns + group - 1) / group)).map { _ in uniform() })
    }
}

/// A stored matrix decodes to `exact`, and its products with many rows, some and one are the same bits on all paths.
/// Inputs that are rounded cost at most the share `narrowError` of a product.
func expectProducts(
    of stored: some RowDecodable, _ exact: Tensor, narrowError: Double = 0.02, _ random: inout SeededGenerator
) {
    // More rows than a tile has, and a rest.
    let input = random.normalTensor([19, exact.columns])
    let products = LinearAlgebra.product(input, .plain, exact, .transposed)
    for precision in ActivationPrecision.allCases {
        var first: Tensor?
        KernelPath.useEach { path in
            #expect(stored.decodedWeight() == exact, "\(path)")
            let found = input.multiplied(by: stored, precision)
            #expect(found == first ?? found, "\(path) gives other bits")
            first = found
            #expect(input.rows(1..<2).multiplied(by: stored, precision) == found.rows(1..<2), "\(path)")
            #expect(input.rows(7..<13).multiplied(by: stored, precision) == found.rows(7..<13), "\(path)")
            let error = (found - products).squaredNorm.squareRoot()
            #expect(error <= (precision == .float ? 1e-5 : narrowError) * products.squaredNorm.squareRoot())
        }
    }
}
