import Pith
import PithCoding
import PithCore
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

/// A language model as a predictor of bits.
struct LanguageModelPredictorTests {
    private static func model(_ name: String) throws -> CodingModel {
        try ModelLibrary.standard.open(name, pool: ThreadPool(threads: 2))
    }

    /// Codes bytes with the predictor's answers alone.
    private static func encode(_ input: [UInt8], _ coding: CodingModel) throws -> [UInt8] {
        var predictor = try LanguageModelPredictor(encoding: input, with: coding)
        try predictor.begin()
        var encoder = RangeEncoder()
        for byte in input {
            for shift in (0..<8).reversed() {
                let bit = byte >> UInt8(shift) & 1 == 1
                encoder.encode(bit, probability: predictor.prediction.probability)
                predictor.update(bit)
            }
            try predictor.finishByte(byte)
            while predictor.isFlagDue {
                let flag = predictor.flagToEncode
                encoder.encode(flag, probability: predictor.flag.probability)
                try predictor.updateFlag(flag)
            }
        }
        return encoder.finish()
    }

    private static func decode(_ coded: [UInt8], count: Int, _ coding: CodingModel) throws -> [UInt8] {
        var predictor = try LanguageModelPredictor(decodingWith: coding)
        try predictor.begin()
        var decoder = try RangeDecoder(coded)
        var output: [UInt8] = []
        for _ in 0..<count {
            var byte: UInt8 = 0
            for _ in 0..<8 {
                let prediction = predictor.prediction
                guard prediction.probability > 0 else { throw PithError.invalidStream("nothing is predicted") }
                #expect((0..<ExternalPrediction.classes).contains(prediction.confidence))
                let bit = try decoder.decode(probability: prediction.probability)
                predictor.update(bit)
                byte = byte << 1 | (bit ? 1 : 0)
            }
            output.append(byte)
            try predictor.finishByte(byte)
            while predictor.isFlagDue {
                try predictor.updateFlag(try decoder.decode(probability: predictor.flag.probability))
            }
        }
        return output
    }

    @Test(arguments: ["nano"] + GoldenModels.steadyNames.map(GoldenModels.path))
    func bytesComeBack(name: String) throws {
        let coding = try Self.model(name)
        for input in LanguageModelCodingTests.inputs {
            let coded = try Self.encode(input, coding)
            #expect(try Self.decode(coded, count: input.count, coding) == input)
        }
    }

    @Test func bitsCostWhatTokensDo() throws {
        let text = try LanguageModelCodingTests.guide(5000)
        let tokens = try LanguageModelCodingTests.method("lm").encode(text, LanguageModelCodingTests.context)
        let bits = try Self.encode(text, try Self.model("nano"))
        #expect(abs(Double(bits.count) / Double(tokens.count) - 1) < 0.005)
    }

    /// The mixture is better than either of its parts, once its weights are learnt: that takes some thousand bytes.
    @Test func mixturesWithAModelAreSmaller() throws {
        let text = try LanguageModelCodingTests.guide(16_000)
        func size(_ spec: String) throws -> Int {
            let coded = try LanguageModelCodingTests.method(spec).encode(text, LanguageModelCodingTests.context)
            #expect(try LanguageModelCodingTests.opened(coded, spec, count: text.count) == text)
            return coded.count
        }
        let both = try size("mix:model=nano")
        #expect(try both < size("mix"))
        #expect(try both < size("lm"))
    }

    /// What is learnt before the first byte must be the same for both sides; the end of it is predicted.
    @Test func mixturesWithAPrimerComeBack() throws {
        let text = try LanguageModelCodingTests.guide(3000)
        let coded = try LanguageModelCodingTests.method("mix:model=nano,primer=1").encode(
            text, LanguageModelCodingTests.context)
        #expect(
            try LanguageModelCodingTests.opened(coded, "mix:model=nano,primer=1", count: text.count) == text)
    }

    /// Which bytes a token would go on with: those that a longer token with the known bytes has next.
    @Test func tokensGoOn() throws {
        let coding = try Self.model("nano")
        var predictor = try LanguageModelPredictor(encoding: Array(" the thing".utf8), with: coding)
        try predictor.begin()
        for byte in " the".utf8 {
            for shift in (0..<8).reversed() {
                _ = predictor.prediction
                predictor.update(byte >> UInt8(shift) & 1 == 1)
            }
            try predictor.finishByte(byte)
            if byte == UInt8(ascii: "e") { break }
            if predictor.isFlagDue { try predictor.updateFlag(false) }
        }
        #expect(predictor.isFlagDue && predictor.flagToEncode && predictor.depth == 4)
        #expect(predictor.goesOn(with: UInt8(ascii: "r")) && !predictor.goesOn(with: UInt8(ascii: " ")))
    }

    @Test func damageEndsInErrors() throws {
        let coding = try Self.model(GoldenModels.path("multi-query-tied"))
        var random = SeededGenerator(seed: 9)
        for _ in 0..<20 {
            let noise = (0..<60).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = try? Self.decode(noise, count: 200, coding)
        }
    }
}
