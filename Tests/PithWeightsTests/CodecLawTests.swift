import PithTestSupport
import PithWeights
import Testing

@Suite("Laws of all codecs of the weights plane")
struct CodecLawTests {
    @Test("every codec obeys the laws", arguments: WeightCatalogue.all.map { $0.identifier })
    func laws(identifier: String) throws {
        let codec = try #require(WeightCatalogue.all.first { $0.identifier == identifier })
        var laws = CodecLaws(codec)
        laws.check()
        #expect(laws.violations == [])
    }

    @Test(
        "weights and inputs at the ends of what floats hold give what is right or an error",
        arguments: WeightCatalogue.all.map { $0.identifier })
    func extremes(identifier: String) throws {
        let codec = try #require(WeightCatalogue.all.first { $0.identifier == identifier })
        var laws = CodecLaws(codec)
        laws.checkExtremes()
        #expect(laws.violations == [])
    }

    @Test("broken parts are refused or harmless", arguments: WeightCatalogue.all.map { $0.identifier })
    func corruption(identifier: String) throws {
        let codec = try #require(WeightCatalogue.all.first { $0.identifier == identifier })
        var laws = CodecLaws(codec)
        let specs = laws.specsOfEachArrangement()
        let report = laws.checkCorruption(of: specs, mutations: 400)
        #expect(laws.violations == [])
        #expect(report.tried >= 400 && report.refused > report.tried / 4)
    }
}
