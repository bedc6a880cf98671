import Foundation
import Pith
import PithTestSupport
import Testing

@Suite struct TokensMetaTests {
    let meta: MetaTokens
    init() throws { meta = try MetaTokens(vocabularySize: 10, metaTokenCount: 20, longestRun: 8) }

    @Test func shortensWhatRepeats() throws {
        // Token 10 ends the definitions; 11 stands for 1, 2, 3, 4.
        let tokens: [Int32] = [1, 2, 3, 4, 9, 1, 2, 3, 4, 8, 1, 2, 3, 4]
        #expect(try meta.compress(tokens) == [11, 1, 2, 3, 4, 10, 11, 9, 11, 8, 11])
        #expect(try meta.compress([1, 2, 3, 1, 2, 3]) == [1, 2, 3, 1, 2, 3])
        #expect(try meta.compress([]) == [])
    }

    @Test func alwaysComesBack() throws {
        var generator = SeededGenerator(seed: 2)
        for round in 0..<200 {
            let alphabet = 1 + round % 10
            var tokens = (0..<generator.index(below: 300)).map { _ in Int32(generator.index(below: alphabet)) }
            if round % 3 == 0 { tokens += tokens + tokens }
            let short = try meta.compress(tokens)
            #expect(short.count <= tokens.count)
            #expect(short.allSatisfy { (0..<Int32(meta.extendedVocabularySize)).contains($0) })
            #expect(try meta.expand(short) == tokens)
        }
        let same = [Int32](repeating: 3, count: 5000)
        #expect(try meta.compress(same).count < 1000)
        #expect(try meta.expand(meta.compress(same)) == same)
    }

    @Test func firstUsedIsFirstNumbered() throws {
        let runs: [[Int32]] = [[1, 2, 3], [4, 5, 6, 7, 8]]
        let order = [0, 1, 0, 0, 1, 1, 1, 0]
        let tokens: [Int32] = order.flatMap { number -> [Int32] in runs[number] + [9] }
        let short = try meta.compress(tokens)
        let body = short.drop { $0 != 10 }.dropFirst()
        #expect(body.first == 11 && short.first == 11)
        #expect(try meta.expand(short) == tokens)
    }

    @Test func brokenSequencesAreRefused() throws {
        let bad: [[Int32]] = [
            [11, 1, 2], [11, 10, 1], [11, 1, 10, 11], [11, 1, 2, 11, 1, 3, 10, 5], [11, 1, 2, 10, 12], [10], [-1], [31],
            [11, 1, 2, 10, 10], [11, 1, 2, 99, 10], [1, 11],
        ]
        for sequence in bad { #expect(throws: PithError.self, "\(sequence)") { try meta.expand(sequence) } }
        #expect(throws: PithError.self) { try meta.compress([10]) }
        #expect(throws: PithError.self) { try MetaTokens(vocabularySize: 10, longestRun: 1) }
    }
}
