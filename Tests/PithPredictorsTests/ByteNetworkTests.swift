import PithCoding
import PithCore
import PithPredictors
import PithTensor
import Testing

/// The network that learns bytes as it predicts them.
@Suite(.serialized)
struct ByteNetworkTests {
    private static let small = ByteNetworkShape(taps: 3, embedding: 16, width: 48, layers: 2)

    /// Weights for tests: seeded ones that nobody trained.
    private static func weights(seed: UInt64 = 7) -> [UInt8] {
        ByteNetworkWeights.file(small, small.initialParameters(seed: seed))
    }

    private static func context(threads: Int = 1, seed: UInt64 = 7) -> CodingContext {
        let library = ModelLibrary(
            { (name, _) throws(PithError) in throw .data("no model \(name)") },
            primer: { (number) throws(PithError) in throw .data("no primer \(number)") },
            network: { (_) throws(PithError) in weights(seed: seed) })
        return CodingContext(pool: ThreadPool(threads: threads), models: library)
    }

    private func values(_ pointer: UnsafeMutablePointer<Float>, _ count: Int) -> [Float] {
        Array(UnsafeBufferPointer(start: pointer, count: count))
    }

    @Test func slopesAreThoseOfDifferences() {
        let shape = ByteNetworkShape(taps: 3, embedding: 16, width: 32, layers: 2)
        let parameters = shape.initialParameters(seed: 3)
        // No parameter may be at a place where its slope is 0 by itself.
        for index in 0..<parameters.count where parameters.floats[index] == 0 {
            parameters.floats[index] = 0.005 * Float(index * 37 % 21 - 10)
        }
        let network = ByteNetwork(shape, parameters: parameters, steps: 8, streams: 2, rate: 0)
        let bytes = MixTests.sentences(18)
        func loss() -> Float {
            network.run(0, 8, after: bytes[0..<16])
            return (0..<16).reduce(Float(0)) { $0 - logarithm(network.probabilities[$1 * 256 + Int(bytes[$1 + 2])]) }
        }
        _ = loss()
        network.addGradient(bytes[2..<18])
        let slopes = values(network.gradient.floats, parameters.count)
        #expect(slopes.contains { abs($0) > 0.1 })
        for index in stride(from: 0, to: parameters.count, by: 61) {
            let middle = parameters.floats[index]
            parameters.floats[index] = middle + 2e-3
            let above = loss()
            parameters.floats[index] = middle - 2e-3
            let below = loss()
            parameters.floats[index] = middle
            let slope = (above - below) / 4e-3
            #expect(abs(slope - slopes[index]) < 1e-2 * max(1, abs(slope)), "parameter \(index)")
        }
    }

    /// Probabilities of every byte and the parameters at the end, whether a block runs at once or byte by byte.
    private func learnt(_ bytes: [UInt8], together: Bool) -> ([Float], [Float]) {
        let network = ByteNetwork(
            Self.small, parameters: Self.small.initialParameters(seed: 5), steps: 19, rate: 0.002)
        var probabilities: [Float] = []
        for start in stride(from: 1, to: bytes.count, by: 19) {
            let end = min(start + 19, bytes.count)
            if together {
                network.run(0, end - start, after: bytes[start - 1..<end - 1])
            } else {
                for step in 0..<end - start { network.run(step, 1, after: bytes[start + step - 1..<start + step]) }
            }
            probabilities += values(network.probabilities, (end - start) * 256)
            network.learn(bytes[start..<end])
        }
        return (probabilities, values(network.parameters.floats, network.parameters.count))
    }

    @Test func pathsAndBlocksGiveTheSameBits() {
        let bytes = MixTests.sentences(70)
        let reference = KernelPath.baseline.use { learnt(bytes, together: true) }
        KernelPath.useEach { path in
            for together in [true, false] {
                let mine = learnt(bytes, together: together)
                #expect(mine.0.map(\.bitPattern) == reference.0.map(\.bitPattern), "\(path), together: \(together)")
                #expect(mine.1.map(\.bitPattern) == reference.1.map(\.bitPattern), "\(path), together: \(together)")
            }
        }
    }

    @Test func trainingLearns() {
        var training = ByteNetworkTraining(bytes: 40_000)
        (training.streams, training.steps) = (4, 16)
        var costs: [Float] = []
        _ = training.run(Self.small, on: MixTests.sentences(20_000)) { _, bits in costs.append(bits) }
        #expect(costs.count == 625)
        #expect(costs[0] > 7.5)
        #expect(costs.suffix(50).reduce(0, +) / 50 < 2)
    }

    @Test func weightsComeBackRounded() throws {
        let parameters = Self.small.initialParameters(seed: 7)
        let read = try ByteNetworkWeights(Self.weights())
        #expect(read.shape == Self.small)
        let rounded = read.parameters()
        for index in 0..<parameters.count {
            let (value, exact) = (rounded.floats[index], parameters.floats[index])
            #expect(abs(value - exact) <= abs(exact) / 256)
        }
        #expect(ByteNetworkWeights.file(Self.small, rounded) == Self.weights())
        #expect(try ByteNetworkWeights(Self.weights(seed: 8)).fingerprint != read.fingerprint)
    }

    @Test func garbageIsNoWeights() {
        let whole = Self.weights()
        for bytes in [[], Array(whole.prefix(9)), whole.dropLast(), whole + [0], [0xFF] + whole.dropFirst()] {
            #expect(throws: PithError.self) { try ByteNetworkWeights(bytes) }
        }
    }

    @Test func roundTripsOnAllPathsAndThreads() throws {
        let bytes = MixTests.sentences(2600)
        let method = try DataCatalogue.method(for: Spec(parsing: "mix:network=1,content=text"))
        let reference = try method.encode(bytes, Self.context())
        let without = try DataCatalogue.method(for: Spec(parsing: "mix:content=text")).encode(bytes, Self.context())
        #expect(reference != without)
        for path in [KernelPath.baseline, .avx2, .avx512, .neonDot] where path.isAvailable {
            try path.use {
                for threads in [1, 2] {
                    #expect(try method.encode(bytes, Self.context(threads: threads)) == reference)
                }
                var output: [UInt8] = []
                try method.decode(CodedPayload(reference), count: bytes.count, into: &output, Self.context())
                #expect(output == bytes, "\(path)")
            }
        }
    }

    @Test func smallInputsHaveNoNetwork() throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "mix:network=1,content=text"))
        let plain = try DataCatalogue.method(for: Spec(parsing: "mix:content=text"))
        let bytes = MixTests.sentences(ByteNetworkPredictor.shortestInput - 1)
        // No weights are at hand here, and none are asked for.
        let context = MixTests.context
        #expect(try method.encode(bytes, context) == plain.encode(bytes, context))
        #expect(try method.fingerprint(for: bytes.count, context) == nil)
        #expect(method.memory(for: bytes.count, context) == plain.memory(for: bytes.count, context))
        #expect(method.memory(for: bytes.count + 1, context) > plain.memory(for: bytes.count + 1, context))
        #expect(throws: PithError.self) { try method.encode(bytes + bytes, context) }
    }

    @Test func otherWeightsHaveOtherFingerprints() throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "mix:network=1"))
        let one = try method.fingerprint(for: 5000, Self.context(seed: 7))
        let other = try method.fingerprint(for: 5000, Self.context(seed: 8))
        #expect(one != nil && one != other)
    }

    @Test func garbageEndsInErrors() throws {
        var random = SeededGenerator(seed: 6)
        let method = try DataCatalogue.method(for: Spec(parsing: "mix:network=1,content=text"))
        for _ in 0..<3 {
            let garbage = [0] + (0..<300).map { _ in UInt8(random.next() >> 56) }
            var output: [UInt8] = []
            #expect(throws: PithError.self) {
                try method.decode(CodedPayload(garbage), count: 4000, into: &output, Self.context())
            }
        }
    }
}
