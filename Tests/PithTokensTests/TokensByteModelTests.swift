import Foundation
import Pith
import PithTestSupport
import Testing

@Suite struct TokensByteModelTests {
    /// Shares are at least one, add up to no more than the whole, and are the same asked one by one.
    @Test func sharesAreAWhole() {
        let model = TokenSamples.model
        var shares = [UInt32](repeating: 0, count: 256)
        for text in TokenSamples.bytes {
            var context = ByteContextModel.Context()
            for (place, byte) in text.prefix(300).enumerated() {
                model.predict(context, into: &shares)
                let sum = shares.reduce(0, +)
                #expect(shares.allSatisfy { $0 >= 1 })
                #expect(sum <= 1 << ByteContextModel.totalBits && sum > 1 << ByteContextModel.totalBits - 4096)
                if place % 50 == 0 {
                    for other in UInt8.min...UInt8.max {
                        #expect(shares[Int(other)] == model.share(of: other, after: context))
                    }
                }
                model.advance(&context, by: byte)
            }
        }
    }

    /// Leaving one occurrence out gives what a model gives that never saw it.
    @Test func leavesOneOut() throws {
        let (seen, again) = (Array("abcabdabc".utf8), Array("abx".utf8))
        let with = try ByteContextModel(learning: [seen[...], again[...]], order: 3, minimumCount: 1)
        let without = try ByteContextModel(learning: [seen[...], Array("ab".utf8)[...]], order: 3, minimumCount: 1)
        var contexts = (ByteContextModel.Context(), ByteContextModel.Context())
        for byte in "ab".utf8 {
            with.advance(&contexts.0, by: byte)
            without.advance(&contexts.1, by: byte)
        }
        let x = UInt8(ascii: "x")
        let left = with.share(of: x, after: contexts.0, leavingOut: true)
        #expect(left < with.share(of: x, after: contexts.0))
        // The byte itself is gone; the end of a text counts as an occurrence of its context, so that the rest is near.
        let unseen = without.share(of: x, after: contexts.1)
        #expect(left <= 2 * unseen && unseen <= 2 * left)
        var shares = [UInt32](repeating: 0, count: 256)
        with.predict(contexts.0, leavingOut: x, into: &shares)
        #expect(shares[Int(x)] == left)
    }

    @Test func learnsWhatIsThere() {
        let text = Array(TokenSamples.prose.utf8)
        #expect(TokenSamples.model.bitsPerByte(of: text) < 1)
        #expect(TokenSamples.model.bitsPerByte(of: TokenSamples.bytes[3]) > 8)
    }

    @Test func fileComesBack() throws {
        for order in [0, 1, 4, 6] {
            for minimum in [1, 2, 5] {
                let model = try ByteContextModel(
                    learning: TokenSamples.bytes.map { $0[...] }, order: order, minimumCount: minimum)
                #expect(try ByteContextModel(fileBytes: model.fileBytes) == model)
            }
        }
    }

    @Test func brokenFilesAreRefused() throws {
        let file = TokenSamples.model.fileBytes
        var generator = SeededGenerator(seed: 1)
        var (refused, shares) = (0, [UInt32](repeating: 0, count: 256))
        for _ in 0..<300 {
            do {
                let model = try ByteContextModel(fileBytes: TokenSamples.damaged(file, &generator))
                model.predict(ByteContextModel.Context(), into: &shares)
                _ = model.bitsPerByte(of: TokenSamples.bytes[2])
            } catch {
                #expect(error.kind == .data)
                refused += 1
            }
        }
        #expect(refused > 100)
        #expect(throws: PithError.self) { try ByteContextModel(fileBytes: []) }
    }

    @Test func refusesWhatCannotBe() {
        #expect(throws: PithError.self) { try ByteContextModel(learning: [[1, 2, 3][...]], order: 7) }
        #expect(throws: PithError.self) { try ByteContextModel(learning: []) }
    }
}
