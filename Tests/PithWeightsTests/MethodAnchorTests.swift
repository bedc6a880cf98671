import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("What the methods promise")
struct MethodAnchorTests {
    static let problems = [
        LayerProblem(outputs: 96, inputs: 128, samples: 700, seed: 3),
        LayerProblem(outputs: 64, inputs: 176, samples: 500, seed: 4),
    ]

    @Test(
        "gptq beats rtn at equal bytes", arguments: problems, ["bits=2", "bits=3", "bits=4", "bits=3,symmetric=true"])
    func gptq(problem: LayerProblem, options: String) throws {
        let (rtn, gptq) = (try problem.compress("rtn:" + options), try problem.compress("gptq:" + options))
        #expect(gptq.storedBits == rtn.storedBits)
        #expect(problem.outputError(gptq) < 0.6 * problem.outputError(rtn))
        // The order of rounding changes no sizes, and pays.
        let inOrder = try problem.compress("gptq:activationOrder=false," + options)
        #expect(inOrder.storedBits == gptq.storedBits)
        #expect(problem.outputError(gptq) < problem.outputError(inOrder))
    }

    @Test(
        "sparsegpt beats wanda beats magnitude at equal bytes", arguments: problems,
        [
            "sparsity=0.3", "sparsity=0.5", "sparsity=0.77", "pattern=2:4", "pattern=4:8", "pattern=1:4",
        ])
    func pruning(problem: LayerProblem, options: String) throws {
        let results = try ["sparsegpt:", "wanda:", "magnitude:"].map { try problem.compress($0 + options) }
        let errors = results.map { problem.outputError($0) }
        #expect(errors[0] < errors[1] && errors[1] < errors[2])
        #expect(Set(results.map { $0.storedBits }).count == 1)
    }

    @Test(
        "exactly the asked share is left out", arguments: ["magnitude", "wanda", "sparsegpt"], [0.0, 0.37, 0.5, 0.9])
    func exactShare(method: String, sparsity: Double) throws {
        let problem = Self.problems[1]
        let compressed = try problem.compress("\(method):sparsity=\(sparsity)")
        let values = try #require(compressed.stored.tensors["values"])
        let count = problem.weight.count
        #expect(values.count == count - Int((sparsity * Double(count)).rounded()))
    }

    @Test("n of m really holds", arguments: ["magnitude", "wanda", "sparsegpt"], ["2:4", "1:4", "4:8", "5:8", "1:2"])
    func pattern(method: String, pattern: String) throws {
        let counts = pattern.split(separator: ":").compactMap { Int($0) }
        for suffix in ["", "+gptq:bits=4", "+rtn:bits=3"] {
            let compressed = try Self.problems[0].compress("\(method):pattern=\(pattern)\(suffix)")
            let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
            for start in stride(from: 0, to: decoded.count, by: counts[1]) {
                let kept = decoded.values[start..<start + counts[1]].count { $0 != 0 }
                #expect(kept <= counts[0])
            }
        }
    }

    @Test("integer codes of the kept weights make it really smaller, and gptq beats rtn there too")
    func sparseCodes() throws {
        let problem = Self.problems[0]
        let half = try problem.compress("sparsegpt:pattern=2:4")
        let rtn = try problem.compress("sparsegpt:pattern=2:4+rtn:bits=4")
        let gptq = try problem.compress("sparsegpt:pattern=2:4+gptq:bits=4")
        // A bit for each weight, 4 for each of half of them, 24 for the scale and zero of 64; 32 for each block of 16
        // rows, and 64 bytes of room.
        let bits = problem.weight.count / 8 * (8 + 16 + 3) + problem.weight.rows / 16 * 32 + 512
        #expect(gptq.storedBits == bits && rtn.storedBits == bits && 2 * bits < half.storedBits)
        #expect(problem.outputError(gptq) < problem.outputError(rtn))
    }

    @Test(
        "what a pruner left out stays out behind a quantizer", arguments: ["magnitude", "wanda", "sparsegpt"],
        ["sparsity=0.5", "sparsity=0.9", "pattern=2:4", "block=16x32"])
    func prunedCodes(method: String, options: String) throws {
        let problem = Self.problems[0]
        let pruned = try problem.compress("\(method):\(options)")
        let kept = try #require(pruned as? any RowDecodable).decodedWeight().values.map { $0 != 0 }
        for quantizer in ["rtn:bits=4", "gptq:bits=4", "rtn:bits=8"] {
            let compressed = try problem.compress("\(method):\(options)+\(quantizer)")
            let layout = type(of: compressed).layout
            #expect(layout == (options == "block=16x32" ? "tiles" : "masked"))
            #expect(compressed.storedBits < pruned.storedBits)
            let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
            #expect(zip(decoded.values, kept).allSatisfy { $0 == 0 || $1 })
            #expect(problem.outputError(compressed) < 1.05 * problem.outputError(pruned) + 0.02)
        }
    }

    @Test("blocks go as a whole, about as many as asked", arguments: ["magnitude", "wanda", "sparsegpt"], [0.3, 0.5])
    func blocks(method: String, sparsity: Double) throws {
        let compressed = try Self.problems[0].compress("\(method):block=16x32,sparsity=\(sparsity)")
        let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
        var gone = 0
        for row in stride(from: 0, to: decoded.rows, by: 16) {
            for column in stride(from: 0, to: decoded.columns, by: 32) {
                let zeros = (0..<512).count { decoded[row + $0 / 32, column + $0 % 32] == 0 }
                #expect(zeros == 0 || zeros == 512)
                gone += zeros
            }
        }
        let asked = sparsity * Double(decoded.count)
        #expect((asked..<asked + 512).contains(Double(gone)))
    }

    @Test(
        "eora repairs, and better than a plain decomposition", arguments: problems,
        [
            "rtn:bits=2", "gptq:bits=3", "magnitude", "sparsegpt:pattern=2:4", "sparsegpt:pattern=2:4+gptq",
        ])
    func repair(problem: LayerProblem, base: String) throws {
        let damaged = try problem.compress(base)
        let plain = try problem.compress(base + "+svd:rank=8,whiten=false")
        let repaired = try problem.compress(base + "+eora:rank=8")
        #expect(repaired.storedBits == plain.storedBits)
        #expect(repaired.storedBits - damaged.storedBits == 16 * 8 * (problem.weight.rows + problem.weight.columns))
        #expect(problem.outputError(repaired) < problem.outputError(plain))
        #expect(problem.outputError(repaired) < problem.outputError(damaged))
    }

    @Test("whitening pays, and a full rank loses nothing", arguments: problems)
    func decomposition(problem: LayerProblem) throws {
        let plain = try problem.compress("svd:whiten=false")
        let whitened = try problem.compress("svd")
        #expect(whitened.storedBits == plain.storedBits)
        #expect(Double(whitened.storedBits) <= 0.5 * 16 * Double(problem.weight.count))
        #expect(problem.outputError(whitened) < 0.5 * problem.outputError(plain))
        for whiten in [true, false] {
            #expect(try problem.outputError(of: "svd:rank=\(problem.weight.rows),whiten=\(whiten)") < 1e-6)
        }
    }

    @Test("rtn moves no weight further than half a level", arguments: 2...8)
    func nearest(bits: Int) throws {
        let weight = Self.problems[0].weight
        let compressed = try Self.problems[0].compress("rtn:bits=\(bits),group=32")
        let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
        for start in stride(from: 0, to: weight.count, by: 32) {
            let group = weight.values[start..<start + 32]
            let level = (max(0, group.max()!) - min(0, group.min()!)) / Float((1 << bits) - 1)
            // Half a level, half a level for the rounding of the zero point, and the rounding of the scale.
            for i in group.indices { #expect(abs(decoded.values[i] - weight.values[i]) <= 1.01 * level) }
            let errors = group.indices.count { abs(decoded.values[$0] - weight.values[$0]) > 0.505 * level }
            #expect(errors <= 2)
        }
    }

    /// The squared error of the weights, as a share of theirs.
    private func weightError(_ problem: LayerProblem, _ spec: String) throws -> Double {
        let compressed = try #require(try problem.compress(spec) as? any RowDecodable)
        return (compressed.decodedWeight() - problem.weight).squaredNorm / problem.weight.squaredNorm
    }

    @Test("a learned table beats normal quantiles, and these beat floats of four bits", arguments: problems)
    func tables(problem: LayerProblem) throws {
        let errors = try ["learned", "nf4", "fp4"].map { try weightError(problem, "codebook:levels=\($0)") }
        #expect(errors[0] < errors[1] && errors[1] < errors[2])
        // A code of one more bit has about a quarter of the error.
        for bits in 3...7 {
            let (more, less) = (
                try weightError(problem, "codebook:bits=\(bits)"), try weightError(problem, "codebook:bits=\(bits - 1)")
            )
            #expect(more < 0.4 * less)
        }
    }

    @Test("ternary keeps the signs of large weights, by the scale that fits them best", arguments: [0.0, 0.7, 1.5])
    func ternary(threshold: Double) throws {
        let weight = Self.problems[0].weight
        let compressed = try Self.problems[0].compress("ternary:group=32,threshold=\(threshold)")
        let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
        for start in stride(from: 0, to: weight.count, by: 32) {
            let group = start..<start + 32
            let mean = group.reduce(0) { $0 + abs(weight.values[$1]) } / 32
            let kept = group.filter { abs(weight.values[$0]) > Float(threshold) * mean }
            let best = kept.reduce(0) { $0 + abs(weight.values[$1]) } / Float(max(1, kept.count))
            for i in group {
                let wanted = kept.contains(i) ? (weight.values[i] < 0 ? -best : best) : 0
                #expect(abs(decoded.values[i] - wanted) <= 0.001 * best)
            }
        }
    }

    @Test("vector codes beat single ones at fewer bits, and know what inputs matter")
    func vectors() throws {
        let problem = LayerProblem(outputs: 256, inputs: 256, samples: 400, seed: 9)
        let (single, vectors) = (try problem.compress("rtn:bits=2"), try problem.compress("vq:norms=false"))
        #expect(vectors.storedBits < single.storedBits)
        #expect(try weightError(problem, "vq:norms=false") < 0.8 * weightError(problem, "rtn:bits=2"))
        #expect(try problem.outputError(of: "vq") < problem.outputError(vectors))
        // Each further codebook has about a quarter of the error.
        let errors = try (1...4).map { try weightError(problem, "vq:norms=false,codebooks=\($0)") }
        for (less, more) in zip(errors, errors.dropFirst()) { #expect(more < 0.4 * less) }
    }

    /// The best that the weights behind column `gone` can do once it is zero, found by the normal equations.
    static func bestWithout(_ gone: Int, _ weight: [Double], _ hessian: SquareMatrix) -> (
        weight: [Double], error: Double
    ) {
        let free = Array(gone + 1..<weight.count)
        var change = [Double](repeating: 0, count: weight.count)
        change[gone] = -weight[gone]
        if !free.isEmpty {
            var block = SquareMatrix(size: free.count)
            for (i, row) in free.enumerated() {
                for (j, column) in free.enumerated() { block[i, j] = hessian[row, column] }
            }
            if let inverse = block.inverseOfPositiveDefinite() {
                for (i, row) in free.enumerated() {
                    change[row] = free.indices.reduce(0) {
                        $0 + inverse[i, $1] * hessian[free[$1], gone] * weight[gone]
                    }
                }
            }
        }
        var error = 0.0
        for i in change.indices { for j in change.indices { error += change[i] * hessian[i, j] * change[j] } }
        return (zip(weight, change).map { $0 + $1 }, error)
    }

    @Test("sparsegpt leaves out and makes up as brute force says", arguments: 1...12)
    func bruteForce(seed: UInt64) throws {
        let problem = LayerProblem(outputs: 6, inputs: 4, samples: 50, seed: seed)
        let hessian = try #require(problem.statistics.hessian)
        let compressed = try problem.compress("sparsegpt:pattern=3:4,damping=0")
        let decoded = try #require(compressed as? any RowDecodable).decodedWeight()
        for row in 0..<6 {
            let weight = (0..<4).map { Double(problem.weight[row, $0]) }
            let best = (0..<4).map { Self.bestWithout($0, weight, hessian) }.min { $0.error < $1.error }!
            for column in 0..<4 { #expect(abs(Double(decoded[row, column]) - best.weight[column]) < 1e-4) }
        }
    }
}
