import Foundation
import Pith
import Testing

@Suite("Programs as codes of sequences")
struct KolmogorovTests {
    @Test(
        arguments: [
            ("bytes(1, 2)", [1, 2]), ("range(250, 3, 4)", [250, 253, 0, 3]), ("repeat(2, bytes(7, 8))", [7, 8, 7, 8]),
            ("join(bytes(1), bytes(2))", [1, 2]), ("add(255, bytes(0, 1))", [255, 0]),
            ("xor(3, bytes(1, 2))", [2, 1]), ("mod(3, range(0, 1, 5))", [0, 1, 2, 0, 1]),
            ("mod(0, bytes(200))", [200]), ("multiply(2, bytes(3, 200))", [6, 144]),
            ("plus(bytes(1, 2, 3), bytes(10, 20))", [11, 22, 13]), ("cross(bytes(1, 2), bytes(3))", [2, 1]),
            ("interleave(bytes(1, 2, 3), bytes(9))", [1, 9, 2, 3]), ("reverse(bytes(1, 2, 3))", [3, 2, 1]),
            ("sums(bytes(1, 2, 254))", [1, 3, 1]), ("crosses(bytes(1, 3, 3))", [1, 2, 1]),
        ] as [(String, [UInt8])])
    func operationsDoWhatTheySay(text: String, output: [UInt8]) throws {
        let program = try SequenceProgram(parsing: text)
        #expect(try program.run() == output && program.description == text)
        #expect(try SequenceProgram(encoded: program.encoded()) == program)
    }

    @Test func codesTakeThePriorsBits() throws {
        var generator = SeededGenerator(seed: 3)
        var count = 0
        while count < 200 {
            guard let program = SequenceProgram.random(from: &generator) else { continue }
            count += 1
            let bytes = try program.encoded()
            let bits = try program.priorBits()
            #expect(Double(8 * bytes.count) >= bits && Double(8 * bytes.count) < bits + 17)
            #expect(try SequenceProgram(encoded: bytes) == program)
            #expect(try SequenceProgram(parsing: program.description) == program)
        }
    }

    /// Programs that would take any memory or time end in an error.
    @Test func limitsHold() throws {
        var bomb = "range(0, 1, 4095)"
        for _ in 0..<7 { bomb = "repeat(4095, \(bomb))" }
        #expect(throws: PithError.self) { try SequenceProgram(parsing: bomb).run() }
        let slow = try SequenceProgram(parsing: "reverse(reverse(range(0, 1, 1000)))")
        #expect(throws: PithError.self) { try slow.run(.init(length: 1000, steps: 2000)) }
        #expect(try slow.run(.init(length: 1000, steps: 3000)).count == 1000)
        #expect(throws: PithError.self) { try slow.run(.init(length: 999, steps: 9000)) }
    }

    @Test(
        arguments: [
            "", "bytes()", "bytes(256)", "bytes(1", "range(1, 2)", "range(1, 2, 0)", "repeat(2)", "jump(1)",
            "join(bytes(1))", "bytes(1) x", "repeat(99999999999999999999, bytes(1))", "add(bytes(1), 3)",
            String(repeating: "reverse(", count: 500),
        ])
    func wrongTextsAreRefused(text: String) {
        #expect(throws: PithError.self) { try SequenceProgram(parsing: text) }
    }

    @Test func anyBytesAreSomeProgramOrAnError() {
        var generator = SeededGenerator(seed: 9)
        for length in 0..<300 {
            let bytes = (0..<length % 40).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            guard let program = try? SequenceProgram(encoded: bytes) else { continue }
            _ = try? program.run(.init(length: 1000, steps: 10_000))
        }
    }

    @Test(
        arguments: [
            "range(3, 5, 100)", "repeat(20, bytes(1, 9, 77, 3))", "interleave(range(0, 1, 40), repeat(40, bytes(200)))",
            "sums(repeat(30, bytes(1, 2, 5)))", "xor(85, range(0, 1, 64))", "join(range(0, 2, 50), range(9, 255, 50))",
        ])
    func theSearchFindsWhatIsSimple(text: String) throws {
        let made = try SequenceProgram(parsing: text)
        let found = try #require(try KolmogorovTest.findProgram(for: made.run()))
        #expect(try found.run() == made.run())
        #expect(try found.priorBits() <= made.priorBits() + 1e-9, "\(found)")
    }

    @Test func noiseHasNoProgram() throws {
        var generator = SeededGenerator(seed: 4)
        let noise = (0..<200).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        #expect(try KolmogorovTest.findProgram(for: noise) == nil)
        let row = try KolmogorovTest(compressors: [CommandCompressor("cat")]).run("noise", [KolmogorovCase(noise)])
        #expect(row.compressedBits == [8] && row.foundShare == 0 && row.priorBits == nil)
        #expect(row.foundBits == 8 + 1.0 / 200)
    }

    @Test func randomCasesFollowTheSeed() throws {
        let cases = KolmogorovCase.random(20, lengths: 32...200, seed: 2)
        #expect(
            cases.count == 20
                && cases.map(\.sequence) == KolmogorovCase.random(20, lengths: 32...200, seed: 2).map(\.sequence))
        #expect(cases.map(\.sequence) != KolmogorovCase.random(20, lengths: 32...200, seed: 3).map(\.sequence))
        let row = try KolmogorovTest().run("random", cases)
        let (ideal, program) = (try #require(row.priorBits), try #require(row.programBits))
        #expect(ideal < program && program < 8)
        let wrong = KolmogorovCase([1, 2, 3], program: cases[0].program)
        #expect(throws: PithError.self) { try KolmogorovTest().run("wrong", [wrong]) }
        #expect(try KolmogorovTest.score(SequenceProgram(parsing: "bytes(1)"), for: [2]) == nil)
    }
}
