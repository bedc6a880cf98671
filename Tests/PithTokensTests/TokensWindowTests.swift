import Foundation
import Pith
import PithTestSupport
import Testing

@Suite struct TokensWindowTests {
    @Test(arguments: [8, 9, 12, 16, 21, 24]) func anyBytesComeBack(bits: Int) throws {
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: bits)
        for bytes in TokenSamples.bytes {
            let numbers = windows.encode(bytes)
            #expect(numbers.allSatisfy { $0 < 1 << UInt32(bits) })
            #expect(numbers.count <= bytes.count)
            #expect(try windows.decode(numbers) == bytes)
        }
    }

    /// Every number is a window of its own, whatever stands beside it.
    @Test func everyNumberMeansSomething() throws {
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: 10)
        let dictionary = try windows.dictionary()
        #expect(Set(dictionary).count == 1024 && !dictionary.contains([]))
        for (number, bytes) in dictionary.enumerated() {
            #expect(try windows.decode([UInt32(number)]) == bytes)
            #expect(windows.encode(bytes) == [UInt32(number)])
        }
    }

    @Test func moreBytesATokenThanAByte() throws {
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: 16)
        let text = TokenSamples.bytes[2]
        #expect(2 * windows.encode(text).count < text.count)
    }

    /// The tokenizer file cuts text as the coder does.
    @Test func tokenizerCutsAlike() throws {
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: 11)
        let json = try JSONValue(parsing: windows.tokenizerDocument().compactText)
        let tokenizer = try Tokenizer(json: json)
        #expect(tokenizer.vocabularySize == 2049)
        for bytes in TokenSamples.bytes {
            guard let text = String(validating: bytes, as: UTF8.self) else { continue }
            let tokens = tokenizer.encode(text, .written)
            #expect(tokens == windows.encode(bytes).map { Int($0) + 1 })
            #expect(tokenizer.decode(tokens) == text)
        }
    }

    @Test func refusesWhatCannotBe() throws {
        #expect(throws: PithError.self) { try EqualInfoWindows(model: TokenSamples.model, bits: 7) }
        #expect(throws: PithError.self) { try EqualInfoWindows(model: TokenSamples.model, bits: 25) }
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: 20)
        #expect(throws: PithError.self) { try windows.decode([1 << 20]) }
        #expect(throws: PithError.self) { try windows.dictionary() }
        #expect(throws: PithError.self) { try TokenStream(windows, tokenBits: 8) }
    }

    @Test func oneStreamComesBack() throws {
        let arithmetic = ArithmeticTokens(model: TokenSamples.model)
        for bytes in TokenSamples.bytes {
            let tokens = arithmetic.encode(bytes)
            #expect(try arithmetic.decode(tokens, count: bytes.count) == bytes)
        }
        #expect(throws: PithError.self) { try arithmetic.decode([1, 2, 3], count: 1 << 20) }
    }

    /// A character of which the bytes lie in two chunks comes back.
    @Test(arguments: [0, 50]) func chunksComeBackAsOneText(metaTokens: Int) throws {
        let bpe = try Tokenizer(
            json: BytePairTrainer.train(on: [TokenSamples.prose], vocabularySize: 300, quiet: true))
        let text = "a\u{1F600}\u{1F601}\u{4E00}b\u{E9}" + TokenSamples.prose
        for chunk in 2...5 {
            let stream = try TokenStream(bpe, chunk: chunk, metaTokens: metaTokens)
            let tokens = try stream.encode(TrainingText(documents: [text])).tokens
            #expect(try stream.decode(tokens).flatMap { $0 } == Array(text.utf8))
        }
    }

    /// Documents to tokens and back, through the file that is trained on.
    @Test func streamsComeBack() throws {
        let windows = try EqualInfoWindows(model: TokenSamples.model, bits: 16)
        let bpe = try Tokenizer(
            json: BytePairTrainer.train(on: [TokenSamples.prose], vocabularySize: 300, quiet: true))
        let text = TrainingText(documents: [TokenSamples.prose, "One more, quite unlike it: é\u{1F600}."])
        let streams = [
            try TokenStream(windows, tokenBits: 8), try TokenStream(windows, tokenBits: 16),
            try TokenStream(bpe, chunk: 1 << 20, metaTokens: 0), try TokenStream(bpe, chunk: 1 << 20, metaTokens: 99),
        ]
        for stream in streams {
            let tokens = try stream.encode(text)
            #expect(tokens.byteCount == text.byteCount)
            try TestData.withTemporaryFolder { folder in
                let path = joinPath(folder, "tokens.safetensors")
                let file = TokenFile(
                    training: tokens, heldOut: tokens, vocabularySize: stream.vocabularySize, method: "a test")
                try file.write(to: path)
                let read = try TokenFile(contentsOf: path)
                #expect(read.training.tokens == tokens.tokens && read.vocabularySize == stream.vocabularySize)
                #expect(try stream.decode(read.heldOut.tokens) == text.documents.map { Array($0.utf8) })
            }
        }
        #expect(throws: PithError.self) { try streams[0].decode([1, 2, 3]) }
        #expect(throws: PithError.self) { try streams[0].decode([-1, 2]) }
        #expect(throws: PithError.self) { try streams[0].decode([300, 2]) }
    }
}
