import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("The laws find bad codecs")
struct BadCodecTests {
    @Test("a codec that refuses everything")
    func refusing() {
        var laws = CodecLaws(RefusingCodec.self)
        laws.check()
        laws.checkExtremes()
        #expect(laws.violations.contains { $0.hasPrefix("refusing: failed") })
        #expect(laws.violations.contains { $0.contains("on [3, 17] with 40 inputs: refused") })
        #expect(laws.violations.contains { $0.contains("on ordinary weights: refused") })
        #expect(violationsOfCorruption(RefusingCodec.self, WeightLayouts.catalogue) != [])
    }

    @Test("a codec that reads zeros where something is missing")
    func careless() {
        let violations = violationsOfCorruption(CarelessCodec.self, LayoutCatalogue([CarelessMatrix.self]))
        #expect(violations.contains { $0.contains("opens without the part 'values'") })
        #expect(violations.contains { $0.contains("opens with the part 'values' cut short") })
    }

    @Test("a codec that takes what is no number, and one that loses all")
    func extremes() {
        var laws = CodecLaws(CarelessCodec.self, layouts: LayoutCatalogue([CarelessMatrix.self]))
        laws.check()
        // While nothing is broken it does what it should.
        #expect(laws.violations == [])
        var negating = CodecLaws(NegatingCodec.self)
        negating.checkExtremes()
        #expect(negating.violations.contains { $0.contains("one 1e38: error 4.0") })
    }

    private func violationsOfCorruption(_ codec: any WeightCodec.Type, _ layouts: LayoutCatalogue) -> [String] {
        var laws = CodecLaws(codec, layouts: layouts)
        _ = laws.checkCorruption(of: laws.specsOfEachArrangement(), mutations: 50)
        return laws.violations
    }
}

/// Takes no matrix at all.
private struct RefusingCodec: WeightCodec {
    static let entry = MethodEntry(
        identifier: "refusing", paper: nil, summary: "refuses everything", options: [])

    init(_ options: OptionValues) throws(PithError) {}
    var needs: CalibrationNeeds { .nothing }
    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear { throw .data("no") }
}

/// Stores weights with the wrong sign.
private struct NegatingCodec: WeightCodec {
    static let entry = MethodEntry(identifier: "negating", paper: nil, summary: "changes signs", options: [])

    init(_ options: OptionValues) throws(PithError) {}
    var needs: CalibrationNeeds { .nothing }
    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        return try DenseOperator(StoredTensor(Tensor(shape: weight.shape, values: weight.values.map { -$0 })))
    }
}

/// Stores weights as they are.
private struct CarelessCodec: WeightCodec {
    static let entry = MethodEntry(identifier: "careless", paper: nil, summary: "ignores damage", options: [])

    init(_ options: OptionValues) throws(PithError) {}
    var needs: CalibrationNeeds { .nothing }
    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        CarelessMatrix(StoredTensor(problem.weight), problem.weight.shape)
    }
}

/// Floats, or zeros where they are missing.
private struct CarelessMatrix: StoredLinear, RowDecodable {
    static let layout = "careless"
    let outputCount: Int
    let inputCount: Int
    private let values: StoredTensor?

    init(_ values: StoredTensor?, _ shape: [Int]) {
        (outputCount, inputCount, self.values) = (shape[0], shape[1], values)
    }

    init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        guard shape.allSatisfy({ $0 < 1 << 20 }) else { throw .data("too large") }
        self.init(parts.tensors["values"], shape)
    }

    var storedBits: Int { stored.storedBits }
    var stored: StoredParts { StoredParts(tensors: values.map { ["values": $0] } ?? [:]) }

    func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        target.update(repeating: 0, count: inputCount)
        let bytes = values?.region.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
        for column in 0..<inputCount {
            let place = 4 * (row * inputCount + column)
            if place + 4 <= bytes.count { target[column] = bytes.loadUnaligned(fromByteOffset: place, as: Float.self) }
        }
    }
}
