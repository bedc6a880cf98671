import ArgumentParser
import Pith

/// Says what is in a model or a file of tensors.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what is in a model or a safetensors file.",
        discussion: """
            For each tensor: its size, the entropy of its bytes as a share of their size, the root mean square of its \
            elements, the largest one as a multiple of that, and the share of zeros.
            """)

    @Argument(help: "A model folder, a .gguf file, a built-in model's name, or a safetensors file.")
    var path: String

    @Flag(help: "Print everything as JSON.")
    var json = false

    @Option(help: "Memory that the program may take; what cannot be done with so much is refused.")
    var memoryLimit: ByteCount?

    @OptionGroup var shared: SharedOptions

    func run() throws {
        if Files.exists(path), !Files.isFolder(path), !path.lowercased().hasSuffix(GGUFFile.fileExtension) {
            let file = try SafetensorsFile(path)
            try require(0)
            let summaries = try summarize(file.names, total: file.size.value) { (name) throws(PithError) in
                try file[name].map { (tensor) throws(PithError) in try TensorSummary(name, tensor) }
            }
            return present(summaries, about: JSONObject(), lines: [])
        }
        let source = try ModelSource.open(path)
        try require(try source.largestOpenBytes())
        let memoryBits = try source.memoryBits(layouts: WeightLayouts.catalogue, pool: shared.pool)
        let summaries =
            switch source.weights {
            case .archive(let archive):
                try summarize(inOrder(archive.names, source), total: archive.totalBytes.value) {
                    (name) throws(PithError) in
                    try TensorSummary(name, try archive.tensor(name))
                }
            case .gguf(let file):
                try summarize(file.tensors, total: file.size.value) { (tensor) throws(PithError) in
                    try TensorSummary(tensor, of: file)
                }
            }
        let (object, lines) = try describe(source, memoryBits: memoryBits)
        present(summaries, about: object, lines: lines)
    }

    /// Refuses a limit of memory that is too small for pieces of tensors and for so many bytes of one that is opened.
    private func require(_ openBytes: Int) throws(PithError) {
        guard let memoryLimit else { return }
        let least = ProgramMemory.beginLimit() + ByteCount(openBytes + TensorSummary.memory)
        guard least <= memoryLimit else {
            throw .usage(
                "'\(path)' needs at least \(least)", at: "--memory-limit", remedy: "\(memoryLimit) are allowed")
        }
    }

    /// Names of tensors in the order in which a model uses them; what belongs to no parameter comes last.
    private func inOrder(_ names: [String], _ source: ModelSource) -> [String] {
        var places: [String: Int] = [:]
        for index in source.description.parameters.indices {
            places[source.storedName(of: ParameterID(index))] = index
        }
        func place(_ name: String) -> Int {
            // The parts of a compressed matrix have names of their own behind the matrix's.
            var stem = name[...]
            while places[String(stem)] == nil, let point = stem.lastIndex(of: ".") { stem = stem[..<point] }
            return places[String(stem)] ?? places.count
        }
        return names.map { (place($0), $0) }.sorted { $0 < $1 }.map(\.1)
    }

    /// Summaries of tensors that take `total` bytes together.
    private func summarize<Item>(
        _ items: [Item], total: Int, _ summary: (Item) throws(PithError) -> TensorSummary?
    ) throws(PithError) -> [TensorSummary] {
        // Tensors differ in size by thousands: what counts is their bytes.
        var progress = PithCore.Progress("reading tensors", total: max(1, total), quiet: shared.quiet)
        var (summaries, done) = ([TensorSummary](), 0)
        for item in items {
            guard let summary = try summary(item) else { continue }
            summaries.append(summary)
            done = min(total, done + summary.bytes.value)
            progress.update(done)
        }
        progress.finish()
        return summaries
    }

    private func describe(_ folder: ModelSource, memoryBits: Int) throws(PithError) -> (JSONObject, [String]) {
        let c = folder.configuration
        let (bytes, weightBytes) = (try folder.byteCount(), try folder.weightByteCount())
        let weightCount = folder.description.weightCount
        let rate = BitsPerWeight(bytes: weightBytes, weights: weightCount)
        let stateBytes = folder.description.states.reduce(0) { $0 + $1.reduce(4, *) }
        let context = c.contextLength == ModelConfiguration.sizeLimit ? nil : c.contextLength
        var object: JSONObject = [
            "weights": .integer(weightCount), "bytes": .integer(bytes.value),
            "weightBytes": .integer(weightBytes.value), "bitsPerWeight": .real(rate.value),
            "memoryBits": .integer(memoryBits), "layers": .integer(c.layerCount), "width": .integer(c.hiddenSize),
            "heads": .integer(c.headCount), "keyValueHeads": .integer(c.keyValueHeadCount),
            "stateBytes": .integer(stateBytes), "intermediateSize": .integer(c.intermediateSize),
            "vocabulary": .integer(c.vocabularySize), "context": context.map { .integer($0) } ?? .null,
            "configuration": try folder.configurationDocument(),
        ]
        var lines = [
            "\(weightCount) weights, \(bytes) on disk, \(rate) bits per weight",
            "\(c.layerCount) layers, width \(c.hiddenSize), "
                + (c.headCount > 0
                    ? "\(c.headCount) heads (\(c.keyValueHeadCount) for keys and values), "
                    : "no attention, a state of \(ByteCount(stateBytes)) for a text, ")
                + "\(c.headCount > 0 ? "feed-forward" : "inner width") \(c.intermediateSize), "
                + "vocabulary \(c.vocabularySize), "
                + (context.map { "context \($0)" } ?? "a context of any length"),
        ]
        if let manifest = folder.manifest {
            object["manifest"] = manifest.json
            let embeddings = manifest.embeddings.map { ", embeddings by \($0)" } ?? ""
            lines.append("made by \(manifest.spec)\(embeddings), seed \(manifest.seed)")
            for line in manifest.recipe?.split(separator: "\n") ?? [] { lines.append("  \(line)") }
            for (name, digest) in manifest.source.sorted(by: { $0.key < $1.key }) {
                lines.append("from \(name), SHA-256 \(digest)")
            }
            if let calibration = manifest.calibration {
                lines.append("calibrated on \(calibration.name), \(calibration.tokenCount) tokens")
            }
        }
        return (object, lines)
    }

    private func present(_ summaries: [TensorSummary], about: JSONObject, lines: [String]) {
        if json {
            var object = about
            object["tensors"] = .array(summaries.map(\.json))
            printJSON(.object(object))
        } else {
            for line in lines { print(line) }
            print(TextTable(header: TensorSummary.header, rows: summaries.map(\.cells), leftAligned: [0, 1, 2]).text)
            for summary in summaries where summary.nonFiniteCount > 0 {
                print("\(summary.name): \(summary.nonFiniteCount) elements are no finite numbers")
            }
        }
    }
}
