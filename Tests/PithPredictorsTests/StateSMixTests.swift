import Foundation
import PithCore
import PithPredictors
import PithTensor
import Testing

/// The state-space model that learns what it codes.
struct StateSMixTests {
    static let shape = StateSpaceShape(width: 16, layers: 2)
    static let bytes: [UInt8] = [5, 9, 5, 200, 9, 5, 9, 7]

    /// Parameters with steps so large that the recurrence matters within eight bytes.
    static func parameters() -> FloatBuffer {
        let store = shape.initialParameters(seed: 3)
        for layer in 0..<shape.layers {
            for i in 0..<shape.inner { store.floats[shape.layer(layer).stepBias + i] += 4 }
        }
        for i in shape.head..<shape.finalNorm { store.floats[i] *= 20 }
        return store
    }

    /// A model that has read all bytes, and the loss in nats.
    static func run(_ store: FloatBuffer) -> (model: StateSpacePredictor, loss: Double) {
        var model = StateSpacePredictor(
            .init(shape: shape, learningRate: 0, seed: 3, blockLength: bytes.count), parameters: store)
        var (loss, last) = (0.0, UInt8(0))
        for byte in bytes {
            model.predict(after: last)
            loss -= log(Double(model.probabilities[Int(byte)]))
            model.observe(byte)
            last = byte
        }
        return (model, loss)
    }

    @Test func gradientIsThatOfFiniteDifferences() {
        let (model, _) = Self.run(Self.parameters())
        model.goBack()
        // Along random directions within each kind of parameter.
        var random = SeededGenerator(seed: 8)
        for (name, place, count) in Self.kinds() {
            let signs = (0..<count).map { _ in random.next() & 1 == 0 ? Float(0.01) : -0.01 }
            func loss(_ sign: Float) -> Double {
                let store = Self.parameters()
                for (i, step) in signs.enumerated() { store.floats[place + i] += sign * step }
                return Self.run(store).loss
            }
            let expected = loss(1) - loss(-1)
            let found = signs.enumerated().reduce(0.0) {
                $0 + 2 * Double($1.element * model.gradient.floats[place + $1.offset])
            }
            #expect(abs(found - expected) < 2e-5 + 0.02 * abs(expected), "\(name): \(found), \(expected)")
        }
    }

    static func kinds() -> [(String, Int, Int)] {
        let width = shape.width
        var result = [
            ("embedding", 5 * width, width), ("head", shape.head, 64), ("final norm", shape.finalNorm, width),
        ]
        for index in 0..<shape.layers {
            let layer = shape.layer(index)
            result += [
                ("norm", layer.norm, width), ("input", layer.input, 64), ("convolution", layer.convolution, 64),
                ("bias", layer.convolutionBias, 16), ("selection", layer.selection, 64), ("step", layer.step, 16),
                ("step scale", layer.stepScale, 16), ("step bias", layer.stepBias, 16), ("decay", layer.decay, 64),
                ("skip", layer.skip, 16), ("output", layer.output, 64),
            ]
        }
        return result
    }

    @Test func functionsAreThoseOfTheLibrary() {
        for x in stride(from: -60, through: 60, by: 0.37) {
            let value = Float(x)
            let lanes = Lanes(repeating: value)
            let power = exp(Double(value))
            #expect(abs(Double(exponential(lanes)[3]) / power - 1) < 4e-6)
            let share = power / (1 + power)
            #expect(abs(Double(sigmoid(lanes)[7]) - share) < 1e-6)
            let (found, right) = (Double(softplus(lanes)[0]), log1p(power))
            #expect(abs(found - right) < 4e-6 * max(1, abs(x)))
        }
        for x in [1e-9, 0.3, 0.999, 1, 1.7, 300] {
            #expect(abs(Double(logarithm(Float(x))) - log(Double(Float(x)))) < 3e-6)
        }
        #expect(laneSum(Lanes(repeating: 0.5)) == 8)
    }

    @Test func learnsMoreThanFrequencies() throws {
        let text = MidicothTests.guide
        var counts = [Double](repeating: 0, count: 256)
        for byte in text { counts[Int(byte)] += 1 }
        let frequencies = counts.filter { $0 > 0 }.reduce(0) { $0 - $1 * log2($1 / Double(text.count)) } / 8
        let network = try MidicothTests.coded(text, "statesmix:ngrams=false").count
        let both = try MidicothTests.coded(text, "statesmix").count
        #expect(Double(network) < 0.9 * frequencies)
        #expect(Double(both) < 0.9 * Double(network))
        #expect(both < (try MidicothTests.coded(text, "statesmix:layers=0").count))
    }

    @Test(arguments: ["width=16,layers=1", "ngrams=false", "layers=0", "seed=7,learningRate=0.01"])
    func optionsRoundTrip(options: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "statesmix:\(options)"))
        let bytes = Array(MidicothTests.guide.prefix(2000))
        var opened: [UInt8] = []
        let coded = try method.encode(bytes, MidicothTests.context)
        try method.decode(CodedPayload(coded), count: bytes.count, into: &opened, MidicothTests.context)
        #expect(opened == bytes)
    }

    @Test func impossibleOptionsAreRefused() {
        #expect(throws: PithError.self) { try MidicothTests.coded([], "statesmix:width=24") }
        #expect(throws: PithError.self) { try MidicothTests.coded([], "statesmix:layers=0,ngrams=false") }
    }

    @Test func foreseenBytesAreNotShownToTheNetwork() {
        var grams = GramTables()
        let slopes = FloatBuffer(256)
        for _ in 0..<40 {
            grams.lookUp()
            grams.update(9, slopes: slopes.floats, scale: 1)
        }
        #expect(!grams.foresees)
        for _ in 0..<60 {
            grams.lookUp()
            grams.update(9, slopes: slopes.floats, scale: 1)
        }
        #expect(grams.foresees)
    }

    @Test func sharesOfTheModelAloneAreWholeAndPositive() {
        var model = StateSpaceBytes(.init(shape: Self.shape, learningRate: 0.01, seed: 1))
        for _ in 0..<200 {
            #expect(model.distribution.allSatisfy { $0 > 0 })
            let sum = model.distribution.reduce(0) { $0 + Int($1) }
            let (least, most) = (1 << 24 - 300, 1 << 24 + 256)
            #expect((least...most).contains(sum))
            model.update(77)
        }
        #expect(model.distribution[77] > 1 << 23)
    }

    /// The same on every machine and instruction set, as long as the method itself does not change.
    @Test(arguments: [("statesmix", 0x3446B8771EFF4CBA), ("midicoth", 0x7FCDE4903DA55C78)])
    func codedBytesAreTheSameEverywhere(spec: String, expected: UInt64) throws {
        let bytes = (0..<1500).map { (i: Int) -> UInt8 in
            let phase = i * i / 7 + i % 11
            return UInt8(32 + phase % 64)
        }
        let digest = try MidicothTests.coded(bytes, spec).reduce(UInt64(0xCBF2_9CE4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
        #expect(digest == expected)
    }
}
