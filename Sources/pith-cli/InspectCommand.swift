import ArgumentParser
import Pith

/// Says what is in a model or a file of tensors.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what is in a model folder or a safetensors file.",
        discussion: """
            For each tensor: its size, the entropy of its bytes as a share of their size, the root mean square of its \
            elements, the largest one as a multiple of that, and the share of zeros.
            """)

    @Argument(help: "A model folder, a built-in model's name, or a safetensors file.")
    var path: String

    @Flag(help: "Print everything as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        if Files.exists(path), !Files.isFolder(path) {
            let file = try SafetensorsFile(path)
            let summaries = try summarize(file.names) { (name) throws(PithError) in file[name] }
            present(summaries, about: JSONObject(), lines: [])
        } else {
            let folder = try ModelFolder.open(path)
            let model = try folder.loadModel(pool: shared.pool)
            let summaries = try summarize(folder.archive.names) { (name) throws(PithError) in
                try folder.archive.tensor(name)
            }
            let (object, lines) = try describe(folder, model)
            present(summaries, about: object, lines: lines)
        }
    }

    private func summarize(
        _ names: [String], _ tensor: (String) throws(PithError) -> StoredTensor?
    ) throws(PithError) -> [TensorSummary] {
        var progress = PithCore.Progress("reading tensors", total: names.count, quiet: shared.quiet)
        var summaries: [TensorSummary] = []
        for name in names {
            if let tensor = try tensor(name) { summaries.append(try TensorSummary(name, tensor)) }
            progress.update(summaries.count)
        }
        progress.finish()
        return summaries
    }

    private func describe(_ folder: ModelFolder, _ model: LanguageModel) throws(PithError) -> (JSONObject, [String]) {
        let c = folder.configuration
        let (bytes, weightBytes) = (try folder.byteCount(), try folder.weightByteCount())
        let rate = BitsPerWeight(bytes: weightBytes, weights: model.weightCount)
        var object = JSONObject()
        object["weights"] = .integer(model.weightCount)
        object["bytes"] = .integer(bytes.value)
        object["weightBytes"] = .integer(weightBytes.value)
        object["bitsPerWeight"] = .real(rate.value)
        object["memoryBits"] = .integer(model.memoryBits)
        object["configuration"] = c.json
        var lines = [
            "\(model.weightCount) weights, \(bytes) on disk, \(rate) bits per weight",
            "\(c.layerCount) layers, width \(c.hiddenSize), \(c.headCount) heads (\(c.keyValueHeadCount) for keys and "
                + "values), feed-forward \(c.intermediateSize), vocabulary \(c.vocabularySize), context \(c.contextLength)",
        ]
        if let manifest = folder.manifest {
            object["manifest"] = manifest.json
            let embeddings = manifest.embeddings.map { ", embeddings by \($0)" } ?? ""
            lines.append("made by \(manifest.spec)\(embeddings), seed \(manifest.seed)")
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
