import CPithKernels
import PithTensor
import Testing

/// A dense matrix of some type, perhaps with scales, and inputs for it.
struct DenseProblem {
    let (inputs, outputs, columns): (Int, Int, Int)
    let type: pith_element
    let groupSize: Int?
    /// [inputs, columns].
    let x: [Float]
    /// As stored, [outputs, columns].
    let values: [UInt32]
    /// [outputs, groups].
    let scales: [Float]

    init(inputs: Int, outputs: Int, columns: Int, type: pith_element, groupSize: Int? = nil) throws {
        (self.inputs, self.outputs, self.columns) = (inputs, outputs, columns)
        (self.type, self.groupSize) = (type, groupSize)
        var generator = SeededGenerator(seed: UInt64(columns))
        x = (0..<inputs * columns).map { _ in generator.normal() }
        let weights = (0..<outputs * columns).map { _ in generator.normal() }
        var values = [UInt32](repeating: 0, count: outputs * columns)
        try #require(KernelPath.baseline.kernels).pointee.narrow(weights, type, Int64(weights.count), &values)
        self.values = values
        let groups = groupSize.map { max(1, (columns + $0 - 1) / $0) } ?? 0
        scales = (0..<outputs * groups).map { _ in 0.5 + generator.uniform() }
    }

    private var groups: Int { max(1, scales.count / max(1, outputs)) }

    private func withMatrix<Result>(_ body: (inout pith_dense) throws -> Result) rethrows -> Result {
        try values.withUnsafeBytes { values in
            try scales.withUnsafeBytes { scales in
                var matrix = pith_dense(
                    values: values.baseAddress, type: type, columns: Int64(columns),
                    scales: groupSize == nil ? nil : scales.baseAddress, scale_type: PITH_F32, groups: Int64(groups),
                    group: Int64(groupSize ?? columns))
                return try body(&matrix)
            }
        }
    }

    /// The products of the first `rows` inputs, [rows, outputs].
    func products(_ kernels: pith_kernels, narrow: Bool, rows: Int) -> [Float] {
        var y = [Float](repeating: .nan, count: rows * outputs)
        var panel = [UInt8](repeating: 0, count: Int(pith_panel_bytes(Int64(columns), Int64(rows))) + 64)
        let padded = (columns + 31) / 32 * 32
        var inputs = [UInt32](repeating: .max, count: rows * padded)
        withMatrix { matrix in
            inputs.withUnsafeMutableBytes { inputs in
                var block = pith_tiled_rows(
                    values: inputs.baseAddress, type: narrow ? PITH_BF16 : PITH_F32, rows: Int64(rows),
                    columns: Int64(padded))
                let tiles = (rows + Int(PITH_DENSE_TILE_ROWS) - 1) / Int(PITH_DENSE_TILE_ROWS)
                for tile in 0..<tiles { kernels.tile_rows(x, Int64(columns), Int64(tile), &block) }
                kernels.multiply_dense(&matrix, Int64(outputs), &block, &y, Int64(outputs), &panel)
            }
        }
        return y
    }

    /// Products in double precision of the weights as they are stored, [inputs, outputs].
    func exactProducts(narrow: Bool) throws -> [Double] {
        let kernels = try #require(KernelPath.baseline.kernels).pointee
        var w = [Float](repeating: 0, count: outputs * columns)
        withMatrix { matrix in
            for row in 0..<outputs {
                var one = matrix
                one.values = matrix.values + row * columns * Self.size(of: type)
                one.scales = matrix.scales.map { $0 + row * groups * 4 }
                w.withUnsafeMutableBufferPointer { kernels.widen_dense(&one, $0.baseAddress! + row * columns) }
            }
        }
        let x = narrow ? x.map(Self.rounded) : x
        return (0..<inputs * outputs).map { i in
            let (m, n) = (i / outputs, i % outputs)
            return (0..<columns).reduce(0) { $0 + Double(x[m * columns + $1]) * Double(w[n * columns + $1]) }
        }
    }

    /// To the nearest BF16, ties to even.
    private static func rounded(_ value: Float) -> Float {
        let bits = value.bitPattern
        return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }

    static func size(of type: pith_element) -> Int {
        type == PITH_F32 ? 4 : type == PITH_F8_E4M3 || type == PITH_F8_E5M2 ? 1 : 2
    }
}

private let types = [PITH_F32, PITH_F16, PITH_BF16, PITH_F8_E4M3, PITH_F8_E5M2]

@Suite("Kernels of dense matrices")
struct DenseKernelTests {
    /// Whether inputs can be BF16.
    private func isNarrow(_ type: pith_element) -> Bool { type != PITH_F32 && type != PITH_F16 }

    @Test(
        "are right, with the same bits on every path and in any company",
        arguments: [1, 16, 31, 32, 33, 64, 100, 1001, 2100], [nil, 32, 96] as [Int?])
    func productsAgree(columns: Int, groupSize: Int?) throws {
        let baseline = try #require(KernelPath.baseline.kernels).pointee
        for type in types {
            // More rows than tiles have, and rests.
            let problem = try DenseProblem(
                inputs: 21, outputs: 54, columns: columns, type: type, groupSize: groupSize)
            for narrow in isNarrow(type) ? [false, true] : [false] {
                let expected = problem.products(baseline, narrow: narrow, rows: 21)
                let exact = try problem.exactProducts(narrow: narrow)
                let (error, all) = zip(expected, exact).reduce((0.0, 0.0)) { sum, pair in
                    let difference = Double(pair.0) - pair.1
                    return (sum.0 + difference * difference, sum.1 + pair.1 * pair.1)
                }
                #expect(error <= 1e-12 * all, "type \(type), narrow \(narrow)")
                for path in paths {
                    let kernels = try #require(path.kernels).pointee
                    for rows in [1, 2, 3, 4, 5, 6, 7, 13, 21] {
                        let found = problem.products(kernels, narrow: narrow, rows: rows)
                        #expect(
                            found == Array(expected[..<(rows * 54)]),
                            "\(path), type \(type), narrow \(narrow), \(rows) rows")
                    }
                }
            }
        }
    }

    @Test func matricesWithoutColumnsGiveZeros() throws {
        let problem = try DenseProblem(inputs: 7, outputs: 5, columns: 0, type: PITH_BF16)
        for path in paths {
            let kernels = try #require(path.kernels).pointee
            for narrow in [false, true] {
                #expect(problem.products(kernels, narrow: narrow, rows: 7) == [Float](repeating: 0, count: 35))
            }
        }
    }

    @Test func roundingTheInputsCostsLittle() throws {
        let problem = try DenseProblem(inputs: 9, outputs: 40, columns: 512, type: PITH_BF16)
        let products = problem.products(kernels, narrow: true, rows: 9)
        let exact = try problem.exactProducts(narrow: false)
        let error = zip(products, exact).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
        #expect(error.squareRoot() < 0x1p-8 * exact.reduce(0) { $0 + $1 * $1 }.squareRoot())
    }

    /// A value of FP8 by its definition: a sign, exponent bits, fraction bits.
    private func value(_ code: Int, exponentBits: Int) -> Float {
        let fractionBits = 7 - exponentBits
        let (exponent, fraction) = (code >> fractionBits & (1 << exponentBits - 1), code & (1 << fractionBits - 1))
        let bias = 1 << (exponentBits - 1) - 1
        let scale = Float(sign: .plus, exponent: max(exponent, 1) - bias, significand: 1)
        let magnitude = ((exponent > 0 ? 1 : 0) + Float(fraction) / Float(1 << fractionBits)) * scale
        return code >= 128 ? -magnitude : magnitude
    }

    @Test(arguments: paths)
    func everyFP8IsWidenedExactlyAndNarrowedBack(path: KernelPath) throws {
        let kernels = try #require(path.kernels).pointee
        let codes = (0..<256).map { UInt8($0) }
        for (type, exponentBits) in [(PITH_F8_E4M3, 4), (PITH_F8_E5M2, 5)] {
            var wide = [Float](repeating: 0, count: 256)
            kernels.widen(codes, type, 256, &wide)
            var back = [UInt8](repeating: 0, count: 256)
            kernels.narrow(wide, type, 256, &back)
            for code in 0..<256 {
                let magnitude = code & 127
                if type == PITH_F8_E4M3 ? magnitude == 127 : magnitude > 124 {
                    #expect(wide[code].isNaN)
                } else if type == PITH_F8_E5M2, magnitude == 124 {
                    #expect(wide[code] == (code < 128 ? .infinity : -.infinity))
                } else {
                    #expect(wide[code] == value(code, exponentBits: exponentBits), "\(type) \(code)")
                    #expect(wide[code].sign == (code < 128 ? .plus : .minus))
                    #expect(back[code] == code)
                }
            }
            // As BF16, each in a matrix of one row, with an input that leaves it alone; 127 has no number.
            for code in 0..<(type == PITH_F8_E4M3 ? 127 : 124) {
                let product = try self.product(kernels, type, UInt8(code))
                #expect(product == wide[code])
            }
        }
    }

    /// 1 times one FP8 weight among zeros.
    private func product(_ kernels: pith_kernels, _ type: pith_element, _ code: UInt8) throws -> Float {
        let place = Int(code) % 32
        var values = [UInt8](repeating: 0, count: 32)
        var inputs = [UInt16](repeating: 0, count: 32)
        (values[place], inputs[place]) = (code, 0x3F80)
        var y: Float = .nan
        values.withUnsafeBytes { values in
            inputs.withUnsafeMutableBytes { inputs in
                var matrix = pith_dense(
                    values: values.baseAddress, type: type, columns: 32, scales: nil, scale_type: PITH_F32, groups: 1,
                    group: 32)
                var rows = pith_tiled_rows(values: inputs.baseAddress, type: PITH_BF16, rows: 1, columns: 32)
                kernels.multiply_dense(&matrix, 1, &rows, &y, 1, nil)
            }
        }
        return y
    }

    @Test(arguments: paths)
    func narrowingToFP8RoundsToTheNearest(path: KernelPath) throws {
        let kernels = try #require(path.kernels).pointee
        for (type, exponentBits, largest) in [(PITH_F8_E4M3, 4, 0x7E), (PITH_F8_E5M2, 5, 0x7B)] {
            for code in 0..<largest {
                let low = value(code, exponentBits: exponentBits)
                let high = value(code + 1, exponentBits: exponentBits)
                let middle = (low + high) / 2
                let values = [low.nextUp, middle.nextDown, middle, middle.nextUp, high.nextDown]
                var found = [UInt8](repeating: 0, count: 5)
                kernels.narrow(values, type, 5, &found)
                let (below, above) = (UInt8(code), UInt8(code + 1))
                #expect(found == [below, below, code % 2 == 0 ? below : above, above, above], "\(type) \(code)")
            }
        }
        var found = [UInt8](repeating: 0, count: 4)
        kernels.narrow([1000, -.infinity, .nan, 464], PITH_F8_E4M3, 4, &found)
        #expect(found == [0x7E, 0xFE, 0x7F, 0x7E])
        kernels.narrow([1e9, -.infinity, 61440, 61439], PITH_F8_E5M2, 4, &found)
        #expect(found == [0x7C, 0xFC, 0x7C, 0x7B])
    }

    @Test(arguments: paths)
    func narrowingHasTheSameBitsOnEveryPath(path: KernelPath) throws {
        let (baseline, kernels) = (
            try #require(KernelPath.baseline.kernels).pointee, try #require(path.kernels).pointee
        )
        var generator = SeededGenerator(seed: 3)
        let values = (0..<9999).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) }
        for type in types {
            var (found, expected) = ([UInt32](repeating: 0, count: 9999), [UInt32](repeating: 0, count: 9999))
            kernels.narrow(values, type, 9999, &found)
            baseline.narrow(values, type, 9999, &expected)
            #expect(found == expected, "type \(type)")
        }
    }
}
