import PithCore
import PithTestSupport
import Testing

/// macOS has no limit of address space.
#if os(Linux)
    private let hasLimits = true
#else
    private let hasLimits = false
#endif

/// What does not fit into memory is refused by name, and ends no program.
@Suite(.enabled(if: hasLimits, "needs limits of address space"))
struct MemoryLimitTests {
    /// Runs a line under some limits, in kibibytes, each of which is too small.
    private func check(_ line: String, limits: [Int], for purposes: [String], in folder: String) throws {
        for limit in limits {
            let ending = try Program.shell("ulimit -c 0; ulimit -v \(limit); \(line) 2>&1", in: folder)
            #expect(!ending.isSignal && (1..<100).contains(ending.status), "\(limit): \(ending.output)")
            #expect(ending.output.contains("there is no memory for"), "\(limit): \(ending.output)")
            #expect(purposes.contains { ending.output.contains($0) }, "\(limit): \(ending.output)")
        }
    }

    /// Matrices of few outputs and many inputs: files are small, Hessians and what is made of them are not.
    @Test func compressing() throws {
        try TestData.withTemporaryFolder { folder in
            let model = joinPath(folder, "model")
            try Files.makeFolder(model)
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: model) { $0.intermediateSize = 5000 }
            try AtomicFile.write(GoldenModels.text(letters: 600), to: joinPath(folder, "text"))
            for spec in ["gptq:bits=4", "sparsegpt", "svd", "rtn+eora"] {
                for limit in [600_000, 900_000, 1_300_000] {
                    let ending = try Program.shell(
                        "ulimit -c 0; ulimit -v \(limit); pith compress model \(spec) -o out --calibration text --quiet 2>&1",
                        in: folder)
                    // Work is cut smaller before it is refused.
                    let isRefused = ending.output.contains("there is no memory for")
                    #expect(!ending.isSignal && (ending.status == 0) != isRefused, "\(limit): \(ending.output)")
                    #expect(Files.exists(joinPath(folder, "out")) == (ending.status == 0))
                    for left in try Files.names(in: folder) where left.hasPrefix("out") {
                        try Files.remove(joinPath(folder, left))
                    }
                }
            }
        }
    }

    /// Wide keys and values: files are small, caches are not.
    @Test func reading() throws {
        try TestData.withTemporaryFolder { folder in
            let model = joinPath(folder, "model")
            try Files.makeFolder(model)
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: model) {
                ($0.hiddenSize, $0.headCount, $0.keyValueHeadCount, $0.headDimension, $0.layerCount) = (
                    2, 1, 1, 16384, 40
                )
            }
            try AtomicFile.write(GoldenModels.text(letters: 600), to: joinPath(folder, "text"))
            for line in ["run model abc", "run model abc def", "eval model --text text"] {
                try check(
                    "pith \(line) --quiet", limits: [700_000, 1_200_000], for: ["keys, values and logits"], in: folder)
            }
        }
    }
}
