import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Stored layouts")
struct LayoutTests {
    @Test("bitmask and n:m keep exactly what was selected", arguments: [1, 7, 8, 16, 24, 45, 130])
    func sparseLayoutsDecode(columns: Int) throws {
        var random = SeededGenerator(seed: 1)
        let weight = random.normalTensor([5, columns])
        let rounded = Tensor(shape: weight.shape, values: roundedToHalf(weight.values))
        let kept = (0..<weight.count).map { _ in random.next() % 3 == 0 }
        let bitmask = try BitmaskSparse(weight, keeping: kept)
        for i in 0..<weight.count {
            #expect(bitmask.decodedWeight().values[i] == (kept[i] ? rounded.values[i] : 0))
        }
        for (n, m) in [(2, 4), (4, 8), (1, 4), (3, 4), (1, 2), (5, 8), (7, 8)] {
            let pattern = try SparsityPattern(kept: n, of: m)
            // Keep the first n columns of each group in even rows, the last in odd ones.
            let kept = (0..<weight.count).map { i in
                let (row, place) = (i / columns, i % columns % m)
                return row % 2 == 0 ? place < n : place >= m - n
            }
            let sparse = try PatternSparse(weight, keeping: kept, pattern)
            let stored = sparse.mask
            #expect((0..<weight.count).allSatisfy { kept[$0] == stored[$0] || $0 % columns >= columns / m * m })
            let decoded = sparse.decodedWeight()
            for i in 0..<weight.count where kept[i] { #expect(decoded.values[i] == rounded.values[i]) }
            for i in 0..<weight.count where !stored[i] { #expect(decoded.values[i] == 0) }
        }
    }

    @Test(
        "integer codes mean (code − zero) · scale, with all kernels", arguments: 2...8,
        [(1, 1, 32), (5, 16, 64), (3, 33, 32), (17, 64, 32), (7, 95, 64), (35, 200, 200), (18, 4200, 128)])
    func groupedCodes(bits: Int, extents: (rows: Int, columns: Int, group: Int)) throws {
        let (rows, columns, group) = extents
        let groups = (columns + group - 1) / group
        var random = SeededGenerator(seed: UInt64(bits * columns))
        let codes = (0..<rows * columns).map { _ in UInt8(random.index(below: 1 << bits)) }
        let zeros = (0..<rows * groups).map { _ in UInt8(random.index(below: 1 << bits)) }
        let scales = roundedToHalf((0..<rows * groups).map { _ in random.uniform() })
        for zeros in [zeros, nil] {
            let stored = try GroupedCodes(
                codes: codes, scales: scales, zeros: zeros, rows: rows, columns: columns, bits: bits, groupSize: group)
            let exact = Tensor(
                shape: [rows, columns],
                values: (0..<rows * columns).map { i in
                    let place = i / columns * groups + i % columns / group
                    return (Float(codes[i]) - Float(zeros?[place] ?? 1 << UInt8(bits - 1))) * scales[place]
                })
            expectProducts(of: stored, exact, &random)
        }
    }

    @Test(
        "MLX's codes mean code · scale + bias, in tiles or by rows, with all kernels", arguments: 2...8,
        [(5, 64, 32), (17, 128, 64), (35, 2304, 128), (3, 48, 32), (4, 64, 16)])
    func wordCodes(bits: Int, extents: (rows: Int, columns: Int, group: Int)) throws {
        let (rows, columns, group) = extents
        let (groups, width) = ((columns + group - 1) / group, (columns * bits + 31) / 32)
        var random = SeededGenerator(seed: UInt64(bits * columns))
        let words = (0..<rows * width).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        // Numbers of BF16 are none of F16 when they are small.
        for (type, size) in [(ElementType.float16, 1), (.bfloat16, 1), (.bfloat16, 1e-7)] as [(ElementType, Float)] {
            let scales = StoredTensor(random.normalTensor([rows, groups], scale: size), as: type)
            let biases = StoredTensor(random.normalTensor([rows, groups], scale: 4 * size), as: type)
            let parts = StoredParts(
                tensors: [
                    "words": StoredTensor(type: .uint32, shape: [rows, width], region: ByteRegion(copying: words)),
                    "scales": scales, "biases": biases,
                ], parameters: ["bits": bits, "groupSize": group])
            let stored = try WordCodes(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
            let (scale, bias) = (try scales.decoded().values, try biases.decoded().values)
            let isTiled = group % 32 == 0 && columns % 32 == 0 && bits != 7 && size == 1
            #expect((stored.memoryBits != stored.storedBits) == isTiled)
            let exact = Tensor(
                shape: [rows, columns],
                values: (0..<rows * columns).map { i in
                    let (row, bit) = (i / columns, i % columns * bits)
                    let code = (0..<bits).reduce(0) { code, k in
                        code | Int(words[row * width + (bit + k) / 32] >> UInt32((bit + k) % 32) & 1) << k
                    }
                    let place = row * groups + i % columns / group
                    return Float(code) * scale[place] + bias[place]
                })
            expectProducts(of: stored, exact, &random)
        }
    }

    @Test(
        "FP8 means value · scale, with all kernels", arguments: [ElementType.float8e4m3, .float8e5m2],
        [(1, 1, 32), (5, 16, 64), (3, 33, 33), (17, 64, 32), (50, 200, 96), (18, 4200, 4200)])
    func scaledFloats(type: ElementType, extents: (rows: Int, columns: Int, group: Int)) throws {
        let (rows, columns, group) = extents
        var random = SeededGenerator(seed: UInt64(columns))
        // Small weights get scales of 32 bits.
        for size in [1, 1e-4] as [Float] {
            let weight = random.normalTensor([rows, columns], scale: size)
            let stored = try ScaledFloats(weight, as: type, groupSize: group, pool: ThreadPool(threads: 1))
            let scales = try #require(stored.stored.tensors["scales"])
            if size < 1 || rows == 18 && type == .float8e4m3 {
                #expect(scales.type == (size < 1 ? .float32 : .float16))
            }
            let values = try #require(stored.stored.tensors["values"]).decoded().values
            let (decoded, groups) = (stored.decodedWeight(), (columns + group - 1) / group)
            let scaleValues = try scales.decoded().values
            for i in 0..<weight.count {
                let scale = scaleValues[i / columns * groups + i % columns / group]
                #expect(decoded.values[i] == values[i] * scale)
                // Half a step of the fraction, or of the smallest values.
                let step: Float = type == .float8e4m3 ? 0x1p-4 : 0x1p-3
                let error = abs(decoded.values[i] - weight.values[i])
                #expect(error <= 1.001 * max(step * abs(weight.values[i]), 0x1p-10 * scale))
            }
            expectProducts(of: stored, decoded, narrowError: 0.005, &random)
        }
    }

    @Test("values of any type multiply as their dense forms do", arguments: [3, 16, 40, 129], [0.0, 0.3, 0.9])
    func sparseTypes(columns: Int, sparsity: Float) throws {
        var random = SeededGenerator(seed: 8)
        let weight = random.normalTensor([6, columns])
        let kept = (0..<weight.count).map { _ in random.uniform() >= sparsity }
        let bitmask = try BitmaskSparse(weight, keeping: kept)
        let input = random.normalTensor([3, columns])
        for type in [ElementType.float32, .float16, .bfloat16] {
            var parts = bitmask.stored
            let values = zip(weight.values, kept).filter(\.1).map(\.0)
            parts.tensors["values"] = StoredTensor(Tensor(shape: [values.count], values: values), as: type)
            let stored = try WeightLayouts.catalogue.open("bitmask", parts, shape: weight.shape)
            let dense = Tensor(shape: weight.shape, values: zip(weight.values, kept).map { $1 ? $0 : 0 })
            let products = input.multiplied(by: try DenseOperator(StoredTensor(dense, as: type)))
            KernelPath.useEach { path in
                #expect(input.multiplied(by: stored) == products, "\(path)")
                #expect(input.rows(2..<3).multiplied(by: stored) == products.rows(2..<3), "\(path)")
            }
        }
    }
}
