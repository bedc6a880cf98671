import PithTensor
import Testing

@Suite("Linear algebra")
struct LinearAlgebraTests {
    private func randomSymmetric(_ size: Int) -> SquareMatrix {
        var generator = SeededGenerator(seed: 9)
        let a = generator.normalTensor([size + 5, size])
        var result = SquareMatrix(size: size)
        for i in 0..<size {
            for j in 0..<size {
                result[i, j] = (0..<a.rows).reduce(0.0) { $0 + Double(a[$1, i]) * Double(a[$1, j]) }
            }
        }
        return result
    }

    private func product(_ a: SquareMatrix, _ b: SquareMatrix) -> SquareMatrix {
        var c = SquareMatrix(size: a.size)
        for i in 0..<a.size { for j in 0..<a.size { c[i, j] = (0..<a.size).reduce(0) { $0 + a[i, $1] * b[$1, j] } } }
        return c
    }

    @Test(arguments: [1, 2, 7, 20])
    func choleskyAndInverse(size: Int) throws {
        let a = randomSymmetric(size)
        let l = try #require(a.cholesky())
        let inverse = try #require(a.inverseOfPositiveDefinite())
        let identity = product(a, inverse)
        for i in 0..<size {
            for j in 0..<size {
                let sum = (0..<size).reduce(0) { $0 + l[i, $1] * l[j, $1] }
                #expect(abs(sum - a[i, j]) < 1e-9 * (1 + abs(a[i, j])))
                if j > i { #expect(l[i, j] == 0) }
                #expect(abs(identity[i, j] - (i == j ? 1 : 0)) < 1e-7)
            }
        }
    }

    @Test func whatIsNotPositiveHasNoFactor() {
        var a = SquareMatrix(size: 2)
        (a[0, 0], a[1, 1]) = (1, -1)
        #expect(a.cholesky() == nil)
        #expect(a.inverseOfPositiveDefinite() == nil)
    }

    @Test(arguments: [1, 3, 12])
    func eigenvectorsSatisfyTheirEquation(size: Int) throws {
        let a = randomSymmetric(size)
        let (values, vectors) = try a.eigenSystem()
        #expect(values == values.sorted())
        for v in 0..<size {
            for i in 0..<size {
                let image = (0..<size).reduce(0) { $0 + a[i, $1] * vectors[v, $1] }
                #expect(abs(image - values[v] * vectors[v, i]) < 1e-8 * (1 + values[size - 1]))
            }
        }
    }

    @Test(arguments: [(1, 1), (4, 9), (9, 4), (6, 6)])
    func singularVectorsGiveTheMatrixBack(rows: Int, columns: Int) throws {
        var generator = SeededGenerator(seed: 4)
        let a = (0..<rows * columns).map { _ in Double(generator.normal()) }
        let d = try SingularValues(a, rows: rows, columns: columns)
        let rank = min(rows, columns)
        #expect(d.s == d.s.sorted(by: >))
        for i in 0..<rows {
            for j in 0..<columns {
                let sum = (0..<rank).reduce(0) { $0 + d.u[i * rank + $1] * d.s[$1] * d.vt[$1 * columns + j] }
                #expect(abs(sum - a[i * columns + j]) < 1e-10)
            }
        }
    }

    @Test func productsInAllOrientations() {
        var generator = SeededGenerator(seed: 2)
        let (a, b) = (generator.normalTensor([4, 3]), generator.normalTensor([3, 5]))
        let plain = LinearAlgebra.product(a, .plain, b)
        for other in [
            LinearAlgebra.product(a.transposed, .transposed, b, .plain),
            LinearAlgebra.product(a, .plain, b.transposed, .transposed),
        ] {
            #expect(zip(plain.values, other.values).allSatisfy { abs($0 - $1) < 1e-5 })
        }
        #expect(abs(plain[1, 2] - (0..<3).reduce(0) { $0 + a[1, $1] * b[$1, 2] }) < 1e-5)
    }

    @Test func theGeneratorIsTheSameEverywhere() {
        // xoshiro256** seeded by SplitMix64 from 0.
        var generator = SeededGenerator(seed: 0)
        #expect(generator.next() == 0x99EC_5F36_CB75_F2B4)
        #expect(generator.next() == 0xBF6E_1F78_4956_452A)
    }
}
