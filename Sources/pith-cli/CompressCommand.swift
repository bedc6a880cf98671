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

            With --budget each matrix gets one of several specs, so that the model is as good as it can be in so many \
            bytes: what an error of each matrix costs is measured, and what error each spec makes. --dry-run prints what \
            was found as a recipe, which --recipe takes, edited or not.
            """)

    @Argument(help: .model)
    var model: String

    @Argument(
        help: """
            What to do, for example gptq:bits=4+eora:rank=16; 'pith methods' lists the methods. With --budget any number \
            to choose from, by default the best that Pith knows.
            """)
    var specs: [String] = []

    @Option(name: [.short, .long], help: "The folder to write; it must not exist yet.")
    var output: String

    @Option(help: "How large the result may be, all counted: 400MB, 3.2bpw (bits per weight) or 2.5x (smaller).")
    var budget: Budget?

    @Option(
        help: """
            A file that says what to do to which parameters, a pattern and a spec in each line; the first pattern that is \
            a parameter's name counts, and the spec given here is for those that none names.
            """)
    var recipe: String?

    @Option(help: "A pattern of parameters that stay as they came, for example '*.layers.0.*'; may be repeated.")
    var ignore: [String] = []

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
        let source = try ModelSource.open(model)
        let calibration = try compressionOptions.calibrationText()
        let (plan, recipe) = try planAndRecipe(source, calibration)
        let target = try format.map { try FormatCatalogue.format($0) }
        guard target == nil || !Files.exists(output) else {
            throw PithError.usage("exists already", at: output, remedy: "remove it or choose another name")
        }
        var compressor = try ModelCompressor(
            source, plan: plan, recipe: recipe, seed: compressionOptions.seed,
            calibration: calibration, calibrationTokenCount: compressionOptions.calibrationTokens, pool: shared.pool)
        if let target, let format {
            let model = ConvertedModel(source, pool: shared.pool)
            // What the format has no place for is to be known before the work.
            if source.isOfFloats { _ = try target.prepare(model) }
            compressor.format = TargetFormat(name: format, of: target, for: model)
        }
        compressor.budget = budget
        (compressor.memoryLimit, compressor.memoryTaken) = (memoryLimit, ProgramMemory.beginLimit())
        if dryRun {
            if budget != nil, !json { print(recipe) }
            return present(try compressor.makePlan(), weights: source.description.weightCount)
        }
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
                "spec": .string(plan.description),
                "recipe": recipe.rules.isEmpty ? .null : .string(recipe.description), "folder": .string(output),
                "bytes": .integer(after.value),
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
    func validate() throws {
        if budget == nil && specs.count > 1 {
            throw ValidationError(
                "Several specs are something to choose from: say how large the result may be, with --budget.")
        }
        if budget != nil && recipe != nil {
            throw ValidationError("A recipe says all that --budget would choose: give one of them.")
        }
        if budget != nil && format != nil {
            throw ValidationError("--format says what all weights are rounded to: there is nothing to choose.")
        }
        if budget == nil && recipe == nil && specs.isEmpty && compressionOptions.embeddings == nil {
            throw ValidationError("Say what to do: a spec such as gptq:bits=4, --recipe FILE, or --budget 400MB.")
        }
    }

    /// What to do to all parameters, and what to do to some.
    private func planAndRecipe(_ source: ModelSource, _ calibration: CalibrationText) throws -> (RunPlan, Recipe) {
        let ignored = ignore.map { Recipe.Rule($0, Spec(stages: [])) }
        if let budget {
            // Work that was begun has its recipe.
            if resume, let begun = try ModelCompressor.recipe(ofWorkOn: output) { return (RunPlan(), begun) }
            return (RunPlan(), try chosenRecipe(source, within: budget, ignored, calibration))
        }
        let plan = try specs.first.map { (spec) throws(PithError) in try RunPlan(parsing: spec) } ?? RunPlan()
        guard plan == RunPlan(weights: plan.weights, embeddings: plan.embeddings) else {
            throw PithError.usage(
                "'\(plan)' says how a model is run", remedy: "give pith run or pith compare --cache and the like")
        }
        var read = Recipe()
        if let recipe {
            do throws(PithError) { read = try Recipe(parsing: Files.text(recipe)) } catch { throw error.within(recipe) }
        }
        return (plan.over(compressionOptions.plan), Recipe(rules: ignored + read.rules))
    }

    /// The best recipe for a budget.
    private func chosenRecipe(
        _ source: ModelSource, within budget: Budget, _ ignored: [Recipe.Rule], _ calibration: CalibrationText
    ) throws -> Recipe {
        if !dryRun { try ModelCompressor.check(output, isResumed: resume) }
        if let memoryLimit, try source.byteCount() > memoryLimit {
            throw PithError.usage(
                "the search for a recipe has the whole model in memory, \(try source.byteCount())",
                at: "--memory-limit",
                remedy: "find it where there is more, with --dry-run, and give it with --recipe")
        }
        let candidates = specs.isEmpty ? AllocationSearch.bestSpecs : specs
        let search = try AllocationSearch(
            source, specs: candidates.map { (spec) throws(PithError) in try Spec(parsing: spec) },
            tableSpecs: compressionOptions.embeddings.map { [$0] }
                ?? AllocationSearch.bestTableSpecs.map { (spec) throws(PithError) in try Spec(parsing: spec) },
            ignored: ignored, calibration: calibration, seed: compressionOptions.seed,
            pool: shared.pool)
        let (recipe, bytes, loss) = try search.run(quiet: shared.quiet).recipe(within: search.bytes(budget))
        if !shared.quiet {
            PithCore.Progress.write(
                "A recipe for \(ByteCount(bytes)), expected to cost \(loss.compact(significant: 2)) nats for each token.\n"
            )
        }
        return recipe
    }

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

extension Budget: ExpressibleByArgument {
    /// Reads what follows `--budget`.
    public init?(argument: String) { self.init(parsing: argument) }
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
