import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTokens
import PithTraining
import Testing

@Suite("Training texts")
struct TextTests {
    @Test("documents end at lines that hold only the separator")
    func documents() throws {
        try withTemporaryFolder { folder in
            let path = joinPath(folder, "text.txt")
            try AtomicFile.write(
                "\none\ntwo <|endoftext|>\n<|endoftext|>\r\n\n<|endoftext|>\nthree\n\n<|endoftext|>\n", to: path)
            #expect(try TrainingText(files: [path]).documents == ["one\ntwo <|endoftext|>", "three"])
            try AtomicFile.write("only", to: path)
            #expect(try TrainingText(files: [path, path]).documents == ["only", "only"])
            try AtomicFile.write("\n<|endoftext|>\n", to: path)
            #expect(throws: PithError.self) { try TrainingText(files: [path]) }
        }
    }

    @Test("the tail is whole documents, in order, and nothing is lost")
    func tail() {
        var text = TrainingText(documents: (0..<500).map { "document \($0)\n" })
        let all = text.documents
        let tail = text.splitOffTail()
        #expect(text.documents + tail.documents == all)
        #expect((4...6).contains(tail.documents.count))
    }

    @Test("the tail of one long document begins with a line and never inside a character")
    func tailOfOne() {
        let lines = (0..<300).map { "the line number \($0) – with a dash\n" }.joined()
        for whole in [lines, String(repeating: "ä–𝄞", count: 500), "ab", "é"] {
            var text = TrainingText(documents: [whole])
            let tail = text.splitOffTail()
            #expect((text.documents + tail.documents).joined() == whole)
            #expect(!whole.hasPrefix("the") || tail.documents[0].hasPrefix("the line"))
        }
    }

    @Test("tokens come back from their file, and only for what they were made from")
    func keptTokens() throws {
        try withTemporaryFolder { folder in
            let text = TrainingText(documents: ["a small text", "and another, another, another"])
            let tokenizer = try Tokenizer(
                json: BytePairTrainer.train(on: text.documents, vocabularySize: 270, quiet: true))
            let tokens = try TokenizedText(text, tokenizer: tokenizer, pool: ThreadPool(threads: 2), quiet: true)
            let separator = try TokenizedText.separator(of: tokenizer)
            #expect(tokens.tokens.first == separator && tokens.tokens.last == separator)
            #expect(tokens.tokens.filter { $0 == separator }.count == 3)
            #expect(
                tokenizer.decode(tokens.tokens.map { Int($0) }, skippingSpecialTokens: true)
                    == text.documents.joined())
            #expect(tokens.byteCount == 41)

            let path = joinPath(folder, "tokens.safetensors")
            #expect(try TokenizedText.load(["x"], madeFrom: "this", from: path) == nil)
            try TokenizedText.save([("x", tokens)], madeFrom: "this", to: path)
            let back = try #require(try TokenizedText.load(["x"], madeFrom: "this", from: path))
            #expect(back[0].tokens == tokens.tokens && back[0].byteCount == tokens.byteCount)
            #expect(try TokenizedText.load(["x"], madeFrom: "that", from: path) == nil)
            #expect(try TokenizedText.load(["y"], madeFrom: "this", from: path) == nil)
        }
    }

    @Test("a job writes a folder that reads back, and finds its own tokens again")
    func job() throws {
        try withTemporaryFolder { folder in
            let (textPath, configPath) = (joinPath(folder, "text.txt"), joinPath(folder, "config.json"))
            let documents = (0..<200).map { "Document \($0) says that \($0 * 7 % 13) is a number.\n<|endoftext|>\n" }
            try AtomicFile.write(documents.joined(), to: textPath)
            try AtomicFile.write(
                """
                {"vocabularySize": 300, "hiddenSize": 16, "layerCount": 1, "headCount": 2, "intermediateSize": 32,
                "contextLength": 16, "steps": 3, "batchSize": 2}
                """, to: configPath)
            let work = joinPath(folder, "work")
            let pool = ThreadPool(threads: 2)
            let inputs = TrainingJob.Inputs(.new(configuration: configPath), texts: [textPath])
            let job = try TrainingJob(inputs, workFolder: work, pool: pool, quiet: true)
            let again = try TrainingJob(inputs, workFolder: work, pool: pool, quiet: true)
            #expect(again.training.tokens == job.training.tokens && again.heldOut.tokens == job.heldOut.tokens)

            let trainer = try job.makeTrainer(pool: pool)
            #expect(try trainer.run())
            let out = joinPath(folder, "model")
            try job.write(trainer, to: out)
            let configuration = try Architectures.open(folder: out).configuration
            #expect(configuration.vocabularySize == 300 && configuration.bosToken == 0)
            #expect(try Tokenizer(folder: out).vocabularySize == 300)
            let weights = try TensorArchive(folder: out).tensor("model.embed_tokens.weight")
            #expect(weights.shape == [300, 16] && weights.type == .bfloat16)

            var withTokenizer = inputs
            withTokenizer.model = .new(configuration: configPath, tokenizerFolder: out)
            let given = try TrainingJob(withTokenizer, workFolder: joinPath(folder, "w2"), pool: pool, quiet: true)
            #expect(given.training.tokens == job.training.tokens)
        }
    }
}
