import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Compressing whole models")
struct ModelCompressorTests {
    private let calibration = CalibrationText(name: "letters", text: GoldenModels.text(letters: 600))

    private func compress(
        _ spec: String, into target: String, model: String = "grouped-untied", threads: Int = 2
    ) throws -> ModelSource {
        try ModelCompressor(
            try ModelSource(GoldenModels.path(model)), plan: try RunPlan(parsing: spec), seed: 7,
            calibration: calibration, pool: ThreadPool(threads: threads)
        ).run(into: target)
        return try ModelSource(target)
    }

    private func logits(_ folder: ModelSource, threads: Int = 2) throws -> [Float] {
        let model = try folder.loadModel(layouts: WeightLayouts.catalogue, pool: ThreadPool(threads: threads))
        var state = model.makeState()
        return try model.nextLogits([1, 5, 9, 2, 7], state: &state)
    }

    /// Every method of the catalogue with its defaults, and a composition.
    static let specs = WeightCatalogue.all.map { $0.entry.identifier } + ["rtn+eora:rank=4"]

    @Test(arguments: specs)
    func everyMethodWritesAFolderThatRuns(spec: String) throws {
        try TestData.withTemporaryFolder { folder in
            let compressed = try compress(spec, into: joinPath(folder, "a"))
            #expect(try logits(compressed).allSatisfy(\.isFinite))
            let manifest = try #require(compressed.manifest)
            #expect(manifest.spec == spec && manifest.seed == 7)
            #expect(manifest.weights.count == 14)
            #expect(manifest.source["model.safetensors"]?.count == 64)
            // What the operators say that they hold is what lies in the file.
            let model = try compressed.loadModel(layouts: WeightLayouts.catalogue, pool: ThreadPool(threads: 1))
            let tensorBytes = try compressed.archive().names.reduce(0) {
                $0 + (try compressed.archive().tensor($1)).byteCount
            }
            #expect(model.storedBits == tensorBytes * 8)
        }
    }

    @Test(arguments: ["gptq:bits=3", "sparsegpt", "svd", "rtn:bits=3+eora:rank=4"])
    func theBytesDoNotDependOnThreads(spec: String) throws {
        try TestData.withTemporaryFolder { folder in
            for threads in [1, 3] { _ = try compress(spec, into: joinPath(folder, "\(threads)"), threads: threads) }
            for file in ["model.safetensors", CompressionManifest.fileName] {
                #expect(
                    try Files.bytes(joinPath(folder, "1/\(file)")) == Files.bytes(joinPath(folder, "3/\(file)")),
                    "\(file)")
            }
        }
    }

    @Test(arguments: GoldenModels.names)
    func embeddingsCanBeCompressedToo(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let source = try ModelSource(GoldenModels.path(name))
            func compress(_ embeddings: String, _ target: String) throws -> ModelSource {
                try ModelCompressor(
                    source, plan: RunPlan(parsing: "rtn:bits=8 embeddings=\(embeddings)"),
                    calibration: nil, pool: ThreadPool(threads: 1)
                ).run(into: joinPath(folder, target))
                return try ModelSource(joinPath(folder, target))
            }
            let compressed = try compress("rtn:bits=8", "a")
            #expect(compressed.manifest?.embeddings == "rtn:bits=8")
            let layers = source.description.layers.indices.flatMap { source.description.matrices(ofLayer: $0) }
            #expect(compressed.manifest?.weights.count == layers.count + source.description.tables.count)
            let (before, after) = (try logits(source), try logits(compressed))
            let worst = zip(before, after).map { abs($0 - $1) }.max() ?? .infinity
            // A row that is sent to other experts is another one.
            let hasExperts = source.description.parameters.contains { $0.kind == .router }
            #expect(worst > 0 && (hasExperts || worst < 0.2 * (before.map { abs($0) }.max() ?? 0)))
            // Inputs to calibrate on do not exist, and factors have no rows to look up.
            for spec in ["gptq", "svd:whiten=false"] {
                #expect(throws: PithError.self) { try compress(spec, "b") }
            }
        }
    }

    @Test func whatCannotBeDoneIsRefusedBeforeAnyWork() throws {
        try TestData.withTemporaryFolder { folder in
            let first = try compress("rtn", into: joinPath(folder, "a"))
            // The target exists; a compressed model; a missing calibration text.
            #expect(throws: PithError.self) { try compress("rtn", into: joinPath(folder, "a")) }
            #expect(throws: PithError.self) {
                try ModelCompressor(
                    first, plan: RunPlan(parsing: "rtn"), calibration: nil, pool: ThreadPool(threads: 1))
            }
            #expect(throws: PithError.self) {
                try ModelCompressor(
                    ModelSource(GoldenModels.path("head-dim")), plan: RunPlan(parsing: "gptq"), calibration: nil,
                    pool: ThreadPool(threads: 1))
            }
            #expect(try Files.names(in: folder) == ["a"])
        }
    }

    @Test func brokenManifestsGiveErrors() throws {
        try TestData.withTemporaryFolder { folder in
            let compressed = try compress("rtn:bits=4+eora:rank=2", into: joinPath(folder, "a"))
            let path = joinPath(compressed.path, CompressionManifest.fileName)
            let original = try Files.bytes(path)
            let expected = try logits(compressed)
            var generator = SeededGenerator(seed: 5)
            var refused = 0
            for round in 0..<400 {
                try Data(mutated(original, round, &generator)).write(to: URL(fileURLWithPath: path))
                do {
                    // A change that is accepted must be one that means nothing, or another valid reading.
                    #expect(try logits(try ModelSource(compressed.path)).count == expected.count)
                } catch let error as PithError {
                    #expect(error.place != nil)
                    refused += 1
                }
            }
            #expect(refused > 200)
        }
    }

    private func mutated(_ bytes: [UInt8], _ round: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        let at = generator.index(below: bytes.count)
        switch round % 4 {
        case 0: bytes.removeLast(bytes.count - at)
        case 1: bytes[at] ^= UInt8(1 << generator.index(below: 7))
        case 2: bytes.removeSubrange(at..<min(bytes.count, at + 1 + generator.index(below: 20)))
        default:
            // A number becomes absurd.
            let digits = bytes.indices.filter { (48...57).contains(bytes[$0]) }
            let place = digits[generator.index(below: digits.count)]
            bytes.replaceSubrange(
                place...place, with: Array(["-1", "99999999", "0", "4294967296"][round / 4 % 4].utf8))
        }
        return bytes
    }

    @Test func tensorsThatDoNotFitTheManifestAreRefused() throws {
        try TestData.withTemporaryFolder { folder in
            let compressed = try compress("rtn:bits=4", into: joinPath(folder, "a"))
            let path = joinPath(compressed.path, "model.safetensors")
            let names = try compressed.archive().names.filter { $0.contains("_proj") }
            let tensors = try compressed.archive().names.map { ($0, try compressed.archive().tensor($0)) }
            for name in names {
                let changed = tensors.map { pair -> (name: String, tensor: StoredTensor) in
                    guard pair.0 == name else { return pair }
                    return (name, StoredTensor(Tensor(rows: 1, columns: pair.1.shape.last ?? 1)))
                }
                try SafetensorsWriter.write(changed, metadata: [:], to: path)
                #expect(throws: PithError.self, "\(name)") { try logits(try ModelSource(compressed.path)) }
                try SafetensorsWriter.write(tensors.filter { $0.0 != name }, metadata: [:], to: path)
                #expect(throws: PithError.self, "\(name)") { try logits(try ModelSource(compressed.path)) }
            }
        }
    }

    /// What is damaged, a byte in each tensor after the other, whatever the method.
    @Test(arguments: specs)
    func damageIsAnErrorThatNamesTheTensor(spec: String) throws {
        try TestData.withTemporaryFolder { folder in
            let compressed = try compress(spec, into: joinPath(folder, "a"))
            let path = joinPath(compressed.path, "model.safetensors")
            let bytes = try Files.bytes(path)
            var random = SeededGenerator(seed: 4)
            for range in try SafetensorsFile.ranges(in: MappedFile.open(path)) where !range.range.isEmpty {
                var damaged = bytes
                let place = range.range.lowerBound + random.index(below: range.range.count)
                damaged[place] ^= 1 << UInt8(random.index(below: 8))
                try Data(damaged).write(to: URL(fileURLWithPath: path))
                do {
                    _ = try logits(ModelSource(compressed.path))
                    Issue.record("\(range.name) is damaged, and nothing is said")
                } catch let error as PithError {
                    #expect(error.kind == .data && "\(error)".contains(range.name) && "\(error)".contains(path))
                }
            }
        }
    }

    @Test func foldersWithoutChecksumsOpenAndWhatDecodersNoticeIsAnError() throws {
        try TestData.withTemporaryFolder { folder in
            let compressed = try compress("dfloat11", into: joinPath(folder, "a"))
            var manifest = try #require(compressed.manifest)
            manifest.checksums = nil
            var members = try #require(try? JSONReader(manifest.json).object())
            members["checksum"] = nil
            let manifestPath = joinPath(compressed.path, CompressionManifest.fileName)
            try JSONValue.object(members).write(to: manifestPath)
            let expected = try logits(compressed)
            #expect(try logits(ModelSource(compressed.path)) == expected)
            // Every stream of every matrix: many of its bits changed.
            let path = joinPath(compressed.path, "model.safetensors")
            var bytes = try Files.bytes(path)
            var random = SeededGenerator(seed: 4)
            for range in try SafetensorsFile.ranges(in: MappedFile.open(path)) where range.name.hasSuffix("blocks") {
                for place in range.range where place % 3 == 0 {
                    bytes[place] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(throws: PithError.self) { try logits(ModelSource(compressed.path)) }
        }
    }

    @Test func whatBelongsToAModelGoesWithIt() throws {
        try TestData.withTemporaryFolder { folder in
            let source = joinPath(folder, "source")
            for name in ["", "/chat_templates", "/original", "/.cache"] { try Files.makeFolder(source + name) }
            for name in try Files.names(in: GoldenModels.path("multi-query-tied")) {
                try Files.copy(joinPath(GoldenModels.path("multi-query-tied"), name), to: joinPath(source, name))
            }
            let kept = [
                "LICENSE", "NOTICE.txt", "README.md", "added_tokens.json", "chat_template.jinja",
                "chat_templates/tools.jinja", "merges.txt", "preprocessor_config.json", "tokenizer.model", "vocab.json",
            ]
            let left = [
                ".gitattributes", "original/consolidated.00.pth", "pytorch_model.bin", "model.onnx",
                "other.safetensors",
                "pytorch_model.bin.index.json",
            ]
            for name in kept + left { try AtomicFile.write("what \(name) says", to: joinPath(source, name)) }
            let target = joinPath(folder, "a")
            let opened = try ModelSource(source)
            try ModelCompressor(
                opened, plan: RunPlan(parsing: "rtn"), calibration: nil, pool: ThreadPool(threads: 1)
            ).run(into: target)
            for name in kept {
                #expect(try Files.text(joinPath(target, name)) == "what \(name) says")
            }
            for name in left + ["original", ".cache"] { #expect(!Files.exists(joinPath(target, name)), "\(name)") }
            let reasons = Set(try opened.companions().leftOut.map(\.path))
            #expect(reasons.isSuperset(of: left.filter { !$0.contains("/") } + ["original", ".cache"]))
            #expect(try ModelSource(target).files().count == Files.names(in: target).count)
        }
    }

    @Test func theHeadOfATiedModelIsNotKept() throws {
        try TestData.withTemporaryFolder { folder in
            let source = joinPath(folder, "source")
            let golden = try ModelSource(GoldenModels.path("multi-query-tied"))
            try GoldenModels.copyWithoutWeights("multi-query-tied", to: source)
            var tensors = try golden.archive().names.map { (name: $0, tensor: try golden.archive().tensor($0)) }
            let table = try #require(tensors.first { $0.name == "model.embed_tokens.weight" })
            tensors.append(("lm_head.weight", table.tensor))
            tensors.append(("model.layers.0.self_attn.rotary_emb.inv_freq", StoredTensor(Tensor(rows: 1, columns: 4))))
            try SafetensorsWriter.write(tensors, to: joinPath(source, TensorArchive.fileName))
            let target = joinPath(folder, "a")
            try ModelCompressor(
                ModelSource(source), plan: RunPlan(parsing: "rtn:bits=8"), calibration: nil,
                pool: ThreadPool(threads: 1)
            ).run(into: target)
            let compressed = try ModelSource(target)
            #expect(try compressed.archive().names.filter { $0.contains("lm_head") || $0.contains("inv_freq") } == [])
            #expect(try logits(compressed).allSatisfy(\.isFinite))
        }
    }
}
