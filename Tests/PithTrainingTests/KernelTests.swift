import CPithKernels
import PithTensor
import Testing

@Suite("Training kernels agree on all instruction sets")
struct KernelTests {
    /// Lengths around whole vectors.
    static let counts = [1, 15, 16, 17, 100, 5000]

    private func random(_ count: Int, _ seed: UInt64) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in generator.normal() }
    }

    private func isClose(_ a: [Float], _ b: [Float]) -> Bool {
        zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) }
    }

    /// Everything that the kernels of a path make of the same random rows.
    private func results(_ path: KernelPath, count: Int) throws -> [[Float]] {
        let table = try #require(pith_training_kernels_of(pith_path(UInt32(path.rawValue)))).pointee
        let (length, a, b, g) = (Int64(count), random(count, 1), random(count, 2), random(count, 3))
        var softmax = a + [7, 7]
        table.softmax(&softmax, length, length + 2)
        var softmaxGradient = g
        table.softmax_backward(softmax, 0.3, 0.5, length, &softmaxGradient)
        var logits = a
        let loss = table.cross_entropy(&logits, length, length - 1, 0.25)
        var (gate, up) = (g, g)
        table.activate_backward(PITH_SILU, a, b, g, length, &gate, &up)
        var (written, added, weight) = (g, g, b)
        table.rms_norm_backward(a, b, g, 1e-5, length, 0, &written, &weight)
        table.rms_norm_backward(a, b, g, 1e-5, length, 1, &added, &weight)
        var options = pith_adamw(
            rate: 0.1, decay: 0.2, beta1: 0.9, beta2: 0.95, correction1: 2, correction2: 3, epsilon: 1e-8,
            gradient_scale: 0.7)
        var (weights, first, second) = (a, b, b.map { $0 * $0 })
        table.adamw(&options, g, length, &weights, &first, &second)
        let sums = [loss, table.dot(a, b, length) / Float(count), Float(table.squared_sum(a, length)) / Float(count)]
        return [softmax, softmaxGradient, logits, gate, up, written, added, weight, weights, first, second, sums]
    }

    @Test("vector paths against the baseline", arguments: counts)
    func paths(count: Int) throws {
        let reference = try results(.baseline, count: count)
        for path in KernelPath.allCases where path.isAvailable {
            for (n, (mine, theirs)) in zip(try results(path, count: count), reference).enumerated() {
                #expect(isClose(mine, theirs), "\(path), result \(n)")
            }
        }
    }

    @Test("the baseline against plain sums", arguments: counts)
    func baseline(count: Int) throws {
        let results = try results(.baseline, count: count)
        let (a, b) = (random(count, 1).map(Double.init), random(count, 2).map(Double.init))
        #expect(abs(results[0].reduce(0) { $0 + Double($1) } - 1) < 1e-5, "probabilities add up to one")
        #expect(results[0].suffix(2) == [0, 0])
        #expect(abs(results[2].reduce(0) { $0 + Double($1) }) < 1e-5, "gradients of logits add up to nothing")
        let dot = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } / Double(count)
        #expect(abs(Double(results[11][1]) - dot) < 1e-5)
        let squares = a.reduce(0) { $0 + $1 * $1 } / Double(count)
        #expect(abs(Double(results[11][2]) - squares) < 1e-5 * max(1, squares))
    }
}
