import ArgumentParser
import Pith

/// Compresses a model into a folder.
struct CompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress", abstract: "Write a smaller copy of a model.",
        discussion: """
            A layer is read, compressed and written after the other, so that the model may be larger than memory. What is \
            done of it stands in the folder OUTPUT.part until all is. Ctrl-C ends the work after the layer at work; \
            --resume goes on from there, also after a crash, and gives, bit for bit, what work without a pause would have \
            given.
            """)

    @Argument(help: .model)
    var model: String

    @Argument(help: "What to do, for example gptq:bits=4+eora:rank=16; 'pith methods' lists the methods.")
    var spec: String

    @Option(name: [.short, .long], help: "The folder to write; it must not exist yet.")
    var output: String

    @OptionGroup var compressionOptions: CompressionOptions

    @Option(
        help: """
            The format of another program to write, for example gguf:Q4_0 or gptq:group=128; the method then rounds to \
            the levels of that format. 'pith methods' lists them.
            """)
    var format: String?

    @Flag(help: "Go on with work that was ended before, with the same inputs.")
    var resume = false

    @Option(help: "Memory that the program may take: less is done at a time, and what cannot be done is refused.")
    var memoryLimit: ByteCount?

    @Flag(help: "Say what would be done and what it would take, and write nothing.")
    var dryRun = false

    @Flag(help: "Print the result, or with --dry-run the plan, as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let plan = try RunPlan(parsing: spec).over(compressionOptions.plan)
        guard plan == RunPlan(weights: plan.weights, embeddings: plan.embeddings) else {
            throw PithError.usage(
                "'\(plan)' says how a model is run", remedy: "give pith run or pith compare --cache and the like")
        }
        let source = try ModelSource.open(model)
        let target = try format.map { try FormatCatalogue.format($0) }
        guard target == nil || !Files.exists(output) else {
            throw PithError.usage("exists already", at: output, remedy: "remove it or choose another name")
        }
        var compressor = try ModelCompressor(
            source, plan: plan, seed: compressionOptions.seed,
            calibration: try compressionOptions.calibrationText(),
            calibrationTokenCount: compressionOptions.calibrationTokens, pool: shared.pool)
        if let target, let format {
            let model = ConvertedModel(source, pool: shared.pool)
            // What the format has no place for is to be known before the work.
            if source.isOfFloats { _ = try target.prepare(model) }
            compressor.format = TargetFormat(name: format, of: target, for: model)
        }
        (compressor.memoryLimit, compressor.memoryTaken) = (memoryLimit, ProgramMemory.beginLimit())
        if dryRun { return present(try compressor.makePlan(), weights: source.description.weightCount) }
        // Another program's format is made of Pith's folder, in which every code stands already.
        let folder = target == nil ? output : "\(output).codes"
        if target == nil || !Files.exists(folder) { try compress(by: compressor, into: folder) }
        if let target {
            _ = try ModelConverter(ModelSource(folder), to: target, pool: shared.pool)
                .run(to: output, quiet: shared.quiet)
            try Files.remove(folder)
        }
        let result = try ModelSource(output)
        let (before, after) = (try source.byteCount(), try result.byteCount())
        let leftOut = try source.companions().leftOut
        let rate = BitsPerWeight(bytes: try result.weightByteCount(), weights: source.description.weightCount)
        if json {
            printJSON([
                "spec": .string(plan.description), "folder": .string(output), "bytes": .integer(after.value),
                "originalBytes": .integer(before.value), "bitsPerWeight": .real(rate.value),
                "ratio": .real(Double(before.value) / Double(after.value)),
                "leftOut": .array(leftOut.map { ["file": .string($0.path), "reason": .string($0.reason)] }),
            ])
        } else {
            let ratio = (Double(before.value) / Double(after.value)).formatted(significant: 3)
            print("\(output): \(after), \(rate) bits per weight, \(ratio) times smaller than \(before)")
            for (path, reason) in leftOut { print("left out: \(path), \(reason)") }
        }
    }
}

extension CompressCommand {
    private func present(_ plan: CompressionPlan, weights: Int) {
        if json { return printJSON(plan.json) }
        let rows = plan.kinds.map { kind in
            [
                kind.name, kind.shape.map(String.init).joined(separator: "×"), "\(kind.count)", kind.spec,
                kind.bytes.description, kind.storedBytes.description,
            ]
        }
        let header = ["matrix", "shape", "count", "becomes", "size", "then"]
        print(TextTable(header: header, rows: rows, leftAligned: [0, 1, 3]).text)
        print("all else stays: \(plan.keptBytes)")
        print(
            "result: \(plan.resultBytes), \(BitsPerWeight(bytes: plan.resultBytes, weights: weights)) bits per weight")
        let cut =
            plan.passes > 2
            ? "; calibration runs \(plan.passes) times through each layer, since matrices take turns" : ""
        print("memory: at most \(plan.peakMemory)\(cut)")
        print("disk: \(plan.diskBytes) while it is written")
        if let seconds = plan.seconds {
            print("time: about \(PithCore.Progress.time(seconds)), estimated from a short measurement")
        }
    }

    private func compress(by compressor: ModelCompressor, into folder: String) throws {
        let stop = StopRequest()
        let isWhole = try Interruption.handling(by: { stop.raise() }) {
            try compressor.run(into: folder, isResumed: resume, stop: stop, quiet: shared.quiet)
        }
        guard isWhole else {
            PithCore.Progress.write("Stopped. Go on with --resume.\n")
            throw ExitCode(130)
        }
    }
}

/// What all compression can be told besides the spec.
struct CompressionOptions: ParsableArguments {
    @Option(
        help: """
            A text file that methods may calibrate on; text like what the model will read is best. By default the \
            first half of what is measured on, or of Pith's own guide.
            """)
    var calibration: String?

    @Option(help: "Calibrate on at most so many tokens.")
    var calibrationTokens = 32768

    @Option(
        help: "What to do to the token embeddings, for example rtn:bits=8; by default they are left alone.",
        transform: Spec.init(parsing:))
    var embeddings: Spec?

    @Option(help: "The seed of all random choices.")
    var seed: UInt64 = 0

    /// The text to calibrate on where nothing is measured.
    func calibrationText() throws(PithError) -> CalibrationText {
        let (name, content) =
            calibration == nil ? try TextFile.guideHalves().calibrated : try TextFile.load(calibration)
        return CalibrationText(name: name, text: content)
    }

    /// What the options say of weights.
    var plan: RunPlan { RunPlan(embeddings: embeddings ?? Spec(stages: [])) }

    func validate() throws {
        if calibrationTokens < 2 { throw ValidationError("--calibration-tokens should be at least 2.") }
    }
}
