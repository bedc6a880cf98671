import Pith
import PithCore
import PithFormats
import PithModels
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

/// Coding under the predictions of a language model.
struct LanguageModelCodingTests {
    static let context = CodingContext(pool: ThreadPool(threads: 2), models: .standard)

    static func guide(_ count: Int) throws -> [UInt8] {
        let path = try #require(BuiltIn.guidePath)
        return try MappedFile.open(path).withBytes { Array($0.prefix(count)) }
    }

    static func method(_ spec: String) throws -> any DataMethod { try DataCatalogue.method(for: Spec(parsing: spec)) }

    static func opened(_ coded: [UInt8], _ spec: String, count: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        try method(spec).decode(CodedPayload(coded), count: count, into: &output, context)
        return output
    }

    static let inputs: [[UInt8]] = {
        let all = (0..<256).map { UInt8($0) }
        let mixed = Array("a<|endoftext|> b\u{301}é 漢字\r\n\t  x".utf8)
        return [
            [], [0], all, mixed, mixed + all.reversed() + [0xE6, 0xBC] + mixed + [0xF0, 0x9F],
            [UInt8](repeating: 0xC3, count: 40),
        ]
    }()

    /// Sequences of bytes that are text, and such that are none, under tokenizers that know few bytes, and many.
    @Test(arguments: [
        "lm", "lm:window=16,chunks=3", "lm:symbols=bytes,window=8,overlap=0", "llmzip",
        "llmzip:coder=adaptive,chunks=2",
        "llmzip:coder=arithmetic,window=5,overlap=0.2",
    ])
    func anyBytesComeBack(spec: String) throws {
        let models = ["nano"] + GoldenModels.steadyNames.map(GoldenModels.path)
        for model in models {
            let full = spec + (spec.contains(":") ? "," : ":") + "model=\(model)"
            for input in Self.inputs {
                let coded = try Self.method(full).encode(input, Self.context)
                #expect(try Self.opened(coded, full, count: input.count) == input, "\(full), \(input.count) bytes")
            }
        }
    }

    /// An encoder reads at once what its decoder reads token by token: with such models both would differ.
    @Test(arguments: ["dynamic-rope", "phi3-longrope"]) func anglesThatFollowTheLengthAreRefused(name: String) throws {
        let method = try Self.method("lm:model=\(GoldenModels.path(name))")
        let error = #expect(throws: PithError.self) { try method.encode(Array("abc".utf8), Self.context) }
        #expect(error?.message.contains("angles") == true)
    }

    /// Tokenizers that put spaces before texts, fall back to bytes, or hold numbers as single digits.
    @Test(
        arguments: ["lm", "llmzip:coder=adaptive"],
        ["tiny-gpt2", "tiny-llama2", "tiny-llama3", "tiny-metaspace", "tiny-qwen2"])
    func otherTokenizers(spec: String, tokenizer: String) throws {
        try TestData.withTemporaryFolder { folder in
            try GoldenModels.writeRandomModel(tokenizer: tokenizer, to: folder)
            let full = spec + (spec.contains(":") ? "," : ":") + "model=\(folder)"
            for input in Self.inputs + [Array("Once upon 1234 times there was a dog.\nHe ran. ".utf8)] {
                let coded = try Self.method(full).encode(input, Self.context)
                #expect(try Self.opened(coded, full, count: input.count) == input)
            }
        }
    }

    @Test(
        .enabled(if: TestData.has("tinystories-656k-hf/model.safetensors"), "needs tinystories-656k-hf"),
        arguments: ["lm", "llmzip:coder=adaptive"])
    func aTrainedModelOfAnotherTokenizer(spec: String) throws {
        let model = try #require(TestData.path("tinystories-656k-hf"))
        let full = spec + (spec.contains(":") ? "," : ":") + "model=\(model)"
        for input in Self.inputs + [Array("Once upon a time there was a dog.\nHe ran. ".utf8)] {
            let coded = try Self.method(full).encode(input, Self.context)
            #expect(try Self.opened(coded, full, count: input.count) == input)
        }
    }

    @Test func sizesAreThoseOfTheModelsPredictions() throws {
        let text = try Self.guide(6000)
        let trace = CodingTrace()
        let traced = CodingContext(pool: Self.context.pool, models: .standard, trace: trace)
        let coded = try Self.method("lm:window=4096").encode(text, traced)
        // What the shares of tokens say, and what the model does.
        let shares = trace.contents.regionBits.reduce(0, +) / 8
        #expect(Double(coded.count) < shares * 1.001 + 1)
        let entropy = try Self.crossEntropy(Array(text.prefix(3000)), "nano") / 8
        let beginning = try Self.method("lm").encode(Array(text.prefix(3000)), Self.context)
        #expect(abs(Double(beginning.count) / entropy - 1) < 0.01)
        let ranks = try Self.method("llmzip").encode(text, Self.context)
        #expect(ranks.count > coded.count)
        #expect(ranks.count < text.count / 2)
    }

    /// The bits of a text that fits the model's window, in double precision.
    private static func crossEntropy(_ text: [UInt8], _ name: String) throws -> Double {
        let coding = try ModelLibrary.standard.open(name, pool: context.pool)
        let tokens = coding.tokenizer.encode(String(decoding: text, as: UTF8.self), .full)
        let begin = try #require(coding.model.configuration.bosToken)
        var states = [coding.model.makeState()]
        let hidden = try coding.model.hiddenStates([[begin] + tokens.dropLast()], states: &states)
        let logits = try coding.model.logits(of: hidden, rows: 0..<hidden.rows)
        var nats = 0.0
        for (row, token) in tokens.enumerated() {
            let values = logits.rows(row..<row + 1).values
            let largest = Double(values.max() ?? 0)
            let sum = values.reduce(0) { $0 + exponential(Double($1) - largest) }
            nats += largest + naturalLogarithm(sum) - Double(values[token])
        }
        return nats / naturalLogarithm(2)
    }

    /// Archives go from machine to machine: what one kernel path and number of threads wrote, any other must open.
    @Test func everyPathAndThreadCountWritesTheSame() throws {
        let text = try Self.guide(1200)
        let spec = "lm:window=256,chunks=2"
        var results: [[UInt8]] = []
        try KernelPath.useEach { path in
            for threads in [1, 2] {
                let context = CodingContext(pool: ThreadPool(threads: threads), models: .standard)
                let coded = try Self.method(spec).encode(text, context)
                if let first = results.first { #expect(coded == first, "\(path), \(threads) threads") }
                results.append(coded)
                var opened: [UInt8] = []
                try Self.method(spec).decode(CodedPayload(results[0]), count: text.count, into: &opened, context)
                #expect(opened == text, "\(path), \(threads) threads")
            }
        }
    }

    /// And from the machines of today to those of tomorrow.
    @Test func bytesAreThoseOfEveryMachine() throws {
        let coded = try Self.method("lm").encode(try Self.guide(2000), Self.context)
        let digest = coded.withUnsafeBytes { SHA256.hexDigest(of: $0) }
        #expect(digest.hasPrefix("50d26600f0987275"))
    }

    @Test func fingerprintsTellModelsApart() throws {
        let pool = Self.context.pool
        let nano = try ModelLibrary.standard.open("nano", pool: pool)
        let folder = try ModelSource.open("nano")
        // What stands before texts decides nothing of what the model predicts.
        let settings = try Files.size(joinPath(folder.path, TokenizerSettings.fileName))
        #expect(nano.size + settings == (try folder.byteCount()))
        try TestData.withTemporaryFolder { copy in
            for file in try folder.files() {
                try Files.copy(file, to: joinPath(copy, String(file.split(separator: "/").last ?? "")))
            }
            let same = try CodingModel(ModelSource(copy), layouts: WeightLayouts.catalogue, pool: pool)
            #expect(same.fingerprint == nano.fingerprint)
            let path = joinPath(copy, "model.safetensors")
            var weights = try MappedFile.open(path).withBytes { Array($0) }
            weights[weights.count - 1] ^= 1
            let file = try AtomicFile(at: path)
            try weights.withUnsafeBytes { try file.write($0) }
            try file.commit()
            let other = try CodingModel(ModelSource(copy), layouts: WeightLayouts.catalogue, pool: pool)
            #expect(other.fingerprint != nano.fingerprint)
        }
    }

    @Test func unknownModelsAreRefused() throws {
        #expect(throws: PithError.self) { try Self.method("lm:model=nowhere").encode([1, 2, 3], Self.context) }
        #expect(throws: PithError.self) {
            try Self.method("lm").encode([1], CodingContext(pool: ThreadPool(threads: 1)))
        }
    }
}
