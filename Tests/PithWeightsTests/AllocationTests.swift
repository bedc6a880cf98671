import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Allocations")
struct AllocationTests {
    private let calibration = CalibrationText(name: "letters", text: GoldenModels.text(letters: 600))

    /// The least loss of all ways to choose within a budget, by trying them all.
    private func bestLoss(_ items: [[AllocationChoice]], within budget: Int) -> Double? {
        guard let first = items.first else { return budget >= 0 ? 0 : nil }
        return first.compactMap { choice in
            bestLoss(Array(items.dropFirst()), within: budget - choice.bytes).map { $0 + choice.loss }
        }.min()
    }

    @Test("choices keep the budget and lose little more than the best do", arguments: 1...20 as ClosedRange<UInt64>)
    func knapsack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let items = (0..<6).map { _ in
            // Each bit more takes as many bytes more, and divides the loss by about four.
            let (size, loss) = (50 + random.index(below: 400), Double(random.uniform()))
            return (2...5).map { bits in
                AllocationChoice(
                    bytes: size * bits, loss: loss * Double(0.8 + 0.4 * random.uniform()) / Double(1 << (2 * bits)))
            }
        }
        let least = items.reduce(0) { $0 + $1[0].bytes }
        #expect(allocate(items, within: least - 1) == nil)
        for budget in [least, least * 3 / 2, least * 2, least * 3] {
            let chosen = try #require(allocate(items, within: budget))
            let picked = zip(items, chosen).map { $0[$1] }
            #expect(picked.reduce(0) { $0 + $1.bytes } <= budget)
            let best = try #require(bestLoss(items, within: budget))
            // What the relaxation can lose is one step of one item, of which the first is the largest.
            let step = items.map { $0[0].loss - $0[1].loss }.max() ?? 0
            #expect(picked.reduce(0) { $0 + $1.loss } <= best + step)
        }
    }

    @Test("budgets are read", arguments: [("400MB", 400_000_000), ("2GiB", 2 << 30), ("4bpw", 512), ("2.5x", 800)])
    func budgets(text: String, bytes: Int) throws {
        let budget = try #require(Budget(parsing: text))
        #expect(budget.bytes(weights: 1000, original: ByteCount(2000), companions: ByteCount(12)) == bytes)
        #expect(Budget(parsing: budget.description) == budget)
    }

    @Test("what is no budget is refused", arguments: ["", "bpw", "-3bpw", "0x", "400 apples", "nanx", "infbpw"])
    func noBudgets(text: String) { #expect(Budget(parsing: text) == nil) }

    private func compress(_ plan: String, _ recipe: String, into target: String) throws -> CompressionManifest {
        try ModelCompressor(
            ModelSource(GoldenModels.path("grouped-untied")), plan: RunPlan(parsing: plan),
            recipe: Recipe(parsing: recipe), calibration: calibration, pool: ThreadPool(threads: 2)
        ).run(into: target)
        return try #require(try ModelSource(target).manifest)
    }

    @Test("a recipe says what is done to which parameters")
    func recipes() throws {
        try TestData.withTemporaryFolder { folder in
            let recipe = "*.q_proj.weight none\n*.v_proj.weight codebook\nlm_head.weight rtn:bits=8\n"
            let manifest = try compress("gptq:bits=4", recipe, into: joinPath(folder, "a"))
            for (name, form) in manifest.weights {
                #expect(!name.contains("q_proj"))
                #expect(
                    form.layout == (name.contains("v_proj") ? "codebook" : "codes")
                        && form.parameters["bits"] == (name.contains("lm_head") ? 8 : 4), "\(name)")
            }
            #expect(manifest.weights["lm_head.weight"] != nil)
            #expect(try Recipe(parsing: #require(manifest.recipe)) == Recipe(parsing: recipe))
        }
    }

    @Test("a pattern that is nothing's name is refused")
    func unusedPattern() throws {
        try TestData.withTemporaryFolder { folder in
            let error = #expect(throws: PithError.self) {
                try compress("rtn", "*.q_porj.weight none", into: joinPath(folder, "a"))
            }
            #expect(error?.description.contains("*.q_porj.weight") == true)
        }
    }

    @Test("more bytes lose less, and the recipe comes to the bytes that it says")
    func search() throws {
        let source = try ModelSource(GoldenModels.path("grouped-untied"))
        let search = try AllocationSearch(
            source, specs: ["rtn:bits=2", "gptq:bits=4", "gptq:bits=8"].map { try Spec(parsing: $0) },
            tableSpecs: ["rtn:bits=4", "rtn:bits=8"].map { try Spec(parsing: $0) }, calibration: calibration,
            pool: ThreadPool(threads: 2))
        let allocation = try search.run()
        #expect(allocation.parts.count == 16)
        #expect(allocation.parts.allSatisfy { $0.sensitivity > 0 && $0.sensitivity.isFinite })
        for part in allocation.parts {
            for (fewer, more) in zip(part.choices, part.choices.dropFirst()) {
                #expect(fewer.bytes < more.bytes && fewer.error > more.error, "\(part.name)")
            }
        }
        let (least, most) = (
            allocation.parts.reduce(allocation.otherBytes) { $0 + $1.choices[0].bytes },
            allocation.parts.reduce(allocation.otherBytes) { $0 + ($1.choices.last?.bytes ?? 0) }
        )
        #expect(throws: PithError.self) { try allocation.recipe(within: least - 1) }
        let (small, middle, large) = (
            try allocation.recipe(within: least), try allocation.recipe(within: (least + most) / 2),
            try allocation.recipe(within: most)
        )
        #expect(small.loss > middle.loss && middle.loss > large.loss)
        try TestData.withTemporaryFolder { folder in
            _ = try compress("none", middle.recipe.description, into: joinPath(folder, "a"))
            let tensors = try ModelSource(joinPath(folder, "a")).archive()
            let bytes = try tensors.names.reduce(0) { $0 + (try tensors.tensor($1).byteCount) }
            let rest = allocation.otherBytes - middle.bytes
            let kept = try source.archive().names.reduce(0) { sum, name in
                let tensor = try source.archive().tensor(name)
                return sum + (tensor.shape.count == 1 ? tensor.byteCount : 0)
            }
            #expect(abs(bytes - kept + rest) <= bytes / 100, "\(bytes - kept) bytes where \(-rest) were expected")
        }
    }

    @Test("tables that are calibrated come last, and work on them can be gone on with")
    func calibratedTables() throws {
        try TestData.withTemporaryFolder { folder in
            func compressor() throws -> ModelCompressor {
                try ModelCompressor(
                    ModelSource(GoldenModels.path("grouped-untied")),
                    plan: RunPlan(parsing: "weights=rtn embeddings=gptq:bits=4"), calibration: calibration,
                    pool: ThreadPool(threads: 2))
            }
            let (whole, stopped) = (joinPath(folder, "whole"), joinPath(folder, "stopped"))
            try compressor().run(into: whole)
            let stop = StopRequest()
            stop.raise()
            #expect(try !compressor().run(into: stopped, stop: stop))
            #expect(try !compressor().run(into: stopped, isResumed: true, stop: stop))
            #expect(try compressor().run(into: stopped, isResumed: true))
            for file in ["model.safetensors", CompressionManifest.fileName] {
                #expect(try Files.bytes(joinPath(whole, file)) == Files.bytes(joinPath(stopped, file)))
            }
            let plain = joinPath(folder, "plain")
            try ModelCompressor(
                ModelSource(GoldenModels.path("grouped-untied")),
                plan: RunPlan(parsing: "weights=rtn embeddings=rtn:bits=4"), calibration: calibration,
                pool: ThreadPool(threads: 2)
            ).run(into: plain)
            // The head is rounded by what it reads, the table that is looked up without.
            func codes(_ path: String, _ name: String) throws -> [UInt8] {
                let archive = try ModelSource(path).archive()
                let tensor = try archive.tensor("\(name).codes")
                return withExtendedLifetime(tensor) { Array(tensor.region.bytes) }
            }
            #expect(try codes(whole, "lm_head.weight") != codes(plain, "lm_head.weight"))
        }
    }
}

@Suite("Scales by the least error")
struct ScaleFitTests {
    @Test("a search loses no more than spanning the weights does", arguments: [2, 3, 4, 8], [false, true])
    func search(bits: Int, symmetric: Bool) throws {
        var random = SeededGenerator(seed: 5)
        var weight = Tensor(rows: 8, columns: 160)
        for i in weight.values.indices { weight.values[i] = random.normal() + (i % 3 == 0 ? 0.5 : 0) }
        let importance = (0..<160).map { _ in random.uniform() * random.uniform() * 9 }
        // Inputs of which each has one column: XᵀX is diagonal.
        var inputs = Tensor(rows: 160, columns: 160)
        for i in 0..<160 { inputs[i, i] = importance[i].squareRoot() }
        var statistics = InputStatistics(width: 160, gathering: .columnNorms)
        statistics.add(inputs, pool: ThreadPool(threads: 1))
        func loss(_ scales: String) throws -> Float {
            let stored = try WeightPipeline(
                Spec(parsing: "rtn:bits=\(bits),group=64,symmetric=\(symmetric),scales=\(scales)")
            ).compress(name: "w", weight: weight, statistics: statistics, seed: 0)
            let error = weight - stored.denseWeight(pool: ThreadPool(threads: 1))
            return error.values.indices.reduce(0) { $0 + importance[$1 % 160] * error.values[$1] * error.values[$1] }
        }
        let (range, error, weighed) = (try loss("range"), try loss("error"), try loss("importance"))
        #expect(weighed < range && weighed <= error)
    }
}
