import CPithKernels
import PithTensor
import Testing

/// The paths that this machine can run.
let paths = KernelPath.allCases.filter(\.isAvailable)

@Suite("Kernels")
struct KernelTests {
    private func random(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in generator.normal() * scale }
    }

    @Test func theProductIsRight() {
        for (rows, outputs, k) in [(1, 1, 1), (3, 5, 17), (7, 13, 64), (4, 6, 100)] {
            let (x, w) = (random(rows * k, seed: 1), random(outputs * k, seed: 2))
            var y = [Float](repeating: 0, count: rows * outputs)
            kernels.multiply(x, Int64(rows), Int64(k), w, Int64(outputs), Int64(k), Int64(k), &y, Int64(outputs))
            for m in 0..<rows {
                for n in 0..<outputs {
                    let exact = (0..<k).reduce(0.0) { $0 + Double(x[m * k + $1]) * Double(w[n * k + $1]) }
                    #expect(abs(Double(y[m * outputs + n]) - exact) < 1e-5 * Double(k).squareRoot() + 1e-6)
                }
            }
        }
    }

    @Test(arguments: paths)
    func allPathsGiveTheBitsOfTheBaseline(path: KernelPath) throws {
        let baseline = try #require(KernelPath.baseline.kernels).pointee
        let kernels = try #require(path.kernels).pointee
        for k in [1, 15, 16, 33, 256, 1001] {
            let (x, w) = (random(5 * k, seed: 3), random(7 * k, seed: 4))
            func product(_ kernels: pith_kernels) -> [Float] {
                var y = [Float](repeating: 0, count: 35)
                kernels.multiply(x, 5, Int64(k), w, 7, Int64(k), Int64(k), &y, 7)
                return y
            }
            #expect(product(kernels) == product(baseline))
            func elementwise(_ kernels: pith_kernels) -> [[Float]] {
                var results = [[Float]](repeating: [Float](repeating: 0, count: k), count: 5)
                kernels.layer_norm(x, w, Array(w[2...]), 1e-5, Int64(k), &results[0])
                kernels.rms_norm(x, w, 1e-5, Int64(k), &results[1])
                for kind in [PITH_SILU, PITH_GELU, PITH_GELU_TANH, PITH_RELU, PITH_SIGMOID] {
                    kernels.activate(kind, x, w, Int64(k), &results[3])
                    kernels.activate(kind, results[3], nil, Int64(k), &results[4])
                    results.append(results[4])
                }
                let sum = kernels.exp_sum(x, kernels.maximum(x, Int64(k)), Int64(k), &results[2])
                let difference = kernels.weighted_difference(results[2], x, w, Int64(k))
                return results + [[sum, difference]]
            }
            #expect(elementwise(kernels) == elementwise(baseline))
            for type in [PITH_F32, PITH_F16, PITH_BF16] {
                var stored = [UInt32](repeating: 0, count: 7 * k)
                baseline.narrow(w, type, Int64(7 * k), &stored)
                #expect(kernels.dot(x, stored, type, Int64(k)) == baseline.dot(x, stored, type, Int64(k)))
            }
        }
    }

    @Test(arguments: paths)
    func oneRowGivesTheBitsOfMany(path: KernelPath) throws {
        let kernels = try #require(path.kernels).pointee
        let k = 100
        let (x, w) = (random(9 * k, seed: 5), random(11 * k, seed: 6))
        var many = [Float](repeating: 0, count: 99)
        kernels.multiply(x, 9, Int64(k), w, 11, Int64(k), Int64(k), &many, 11)
        for m in 0..<9 {
            for n in 0..<11 {
                x.withUnsafeBufferPointer { x in
                    w.withUnsafeBufferPointer { w in
                        let one = kernels.dot(x.baseAddress! + m * k, w.baseAddress! + n * k, PITH_F32, Int64(k))
                        #expect(one == many[m * 11 + n])
                    }
                }
            }
        }
    }

    @Test(arguments: paths)
    func everyHalfIsWidenedExactlyAndNarrowedBack(path: KernelPath) throws {
        let kernels = try #require(path.kernels).pointee
        let halves = (0..<65536).map { UInt16($0) }
        for type in [PITH_F16, PITH_BF16] {
            var wide = [Float](repeating: 0, count: 65536)
            kernels.widen(halves, type, 65536, &wide)
            var back = [UInt16](repeating: 0, count: 65536)
            kernels.narrow(wide, type, 65536, &back)
            for (i, value) in wide.enumerated() {
                if value.isNaN { continue }
                #expect(back[i] == halves[i])
                if type == PITH_BF16 { #expect(value.bitPattern == UInt32(i) << 16) }
            }
        }
        // Half precision by its definition: sign, 5 exponent bits, 10 fraction bits.
        var wide = [Float](repeating: 0, count: 65536)
        kernels.widen(halves, PITH_F16, 65536, &wide)
        for i in 0..<0x7C00 {
            let (exponent, fraction) = (i >> 10, Float(i & 1023) / 1024)
            let scale = Float(sign: .plus, exponent: max(exponent, 1) - 15, significand: 1)
            let value = (exponent == 0 ? fraction : 1 + fraction) * scale
            #expect(wide[i] == value && wide[i | 0x8000] == -value)
        }
        #expect(wide[0x7C00] == .infinity && wide[0xFC00] == -.infinity && wide[0x7E00].isNaN)
    }

    @Test func narrowingRoundsToTheNearest() {
        for (value, half) in [
            (1.0, 0x3C00), (1 + 0x1p-11, 0x3C00), (1 + 0x1.8p-10, 0x3C02), (65519, 0x7BFF), (65520, 0x7C00),
            (0x1p-25, 0), (0x1.8p-25, 1),
        ] as [(Float, UInt16)] {
            #expect(halfBits([value]) == [half], "\(value)")
        }
    }

    @Test func exponentialsAreAccurate() {
        let x = (0..<2000).map { Float($0) * -0.04 }
        var e = [Float](repeating: 0, count: x.count)
        _ = kernels.exp_sum(x, 0, Int64(x.count), &e)
        for (x, e) in zip(x, e) {
            let exact = exponential(Double(x))
            #expect(abs(Double(e) - exact) <= 3e-7 * exact)
        }
    }
}
