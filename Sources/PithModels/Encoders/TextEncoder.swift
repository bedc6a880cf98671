import PithCore
import PithFormats
import PithTensor

/// Makes vectors of texts: the hidden states of a model's last layer, pooled as the model's folder says.
public struct TextEncoder: Sendable {
    /// Vectors of some texts.
    public struct Vectors: Sendable {
        /// A row for each text, [texts, width].
        public let values: Tensor
        /// The tokens of each text that were read, those included that stand before and behind every text.
        public let tokenCounts: [Int]
        /// Texts that were longer than the model reads, and lost their end.
        public let truncatedCount: Int
    }

    /// What is done to the hidden states.
    public let modules: SentenceModules
    /// Tokens of a text that are read at most.
    public let maximumLength: Int
    private let model: LanguageModel
    private let tokenizer: Tokenizer

    /// Rows that go through the model together; a text is never cut.
    private static let rowsTogether = 512

    /// An encoder of a model that was opened from `source`.
    public init(_ source: ModelSource, _ model: LanguageModel) throws(PithError) {
        modules = try source.sentenceModules()
        tokenizer = source.tokenizer
        var model = model
        // Keys and values live for a moment only: there is nothing to save.
        model.cache = PlainCache(.float32)
        self.model = model
        let length = modules.maximumLength ?? tokenizer.maximumLength ?? .max
        maximumLength = min(length, source.configuration.contextLength)
        guard tokenizer.addedCount < maximumLength else {
            throw .data(
                "at most \(maximumLength) tokens are read, of which \(tokenizer.addedCount) stand around every text",
                at: source.path)
        }
    }

    /// A vector for each text. `prompt` names what stands before each; without it that is the model's own default.
    ///
    /// A vector depends neither on the texts that are encoded with it nor on the number of threads.
    public func encode(
        _ texts: [String], prompt: String? = nil, quiet: Bool = true
    ) throws(PithError) -> Vectors {
        let start = try promptText(prompt)
        let skipped = modules.includesPrompt || start.isEmpty ? 0 : tokenizer.promptLength(prepared(start))
        var (tokens, truncatedCount) = ([[Int]](), 0)
        for (index, text) in texts.enumerated() {
            let (read, isWhole) = tokenizer.encode(prepared(start + text), upTo: maximumLength)
            guard !read.isEmpty else { throw .data("is empty and has no vector", at: "text \(index + 1)") }
            tokens.append(read)
            if !isWhole { truncatedCount += 1 }
        }
        var vectors = Tensor(rows: texts.count, columns: modules.width)
        let workspace = ForwardWorkspace()
        var progress = Progress("encoding texts", total: texts.count, quiet: quiet)
        var done = 0
        for batch in Self.batches(tokens.map(\.count)) {
            let pooled = try run(batch, tokens, skipping: skipped, workspace)
            for (row, index) in batch.enumerated() {
                let range = row * modules.width..<(row + 1) * modules.width
                vectors.values.replaceSubrange(
                    index * modules.width..<(index + 1) * modules.width, with: pooled.values[range])
            }
            done += batch.count
            progress.update(done)
        }
        progress.finish()
        return Vectors(values: vectors, tokenCounts: tokens.map(\.count), truncatedCount: truncatedCount)
    }

    private func promptText(_ name: String?) throws(PithError) -> String {
        guard let name = name ?? modules.defaultPrompt else { return "" }
        guard let text = modules.prompts[name] else {
            let known = modules.prompts.keys.sorted().joined(separator: ", ")
            throw .usage(
                "the model has no prompt '\(name.shortened)'", remedy: known.isEmpty ? "it has none" : "it has \(known)"
            )
        }
        return text
    }

    private func prepared(_ text: String) -> String { modules.lowercases ? text.lowercased() : text }

    /// Texts of similar length, the longest first.
    private static func batches(_ counts: [Int]) -> [[Int]] {
        var batches: [[Int]] = []
        var rows = 0
        for index in counts.indices.sorted(by: { (counts[$0], $1) > (counts[$1], $0) }) {
            if batches.isEmpty || rows + counts[index] > rowsTogether {
                batches.append([])
                rows = 0
            }
            batches[batches.count - 1].append(index)
            rows += counts[index]
        }
        return batches
    }

    /// The vectors of some texts, [texts, width].
    private func run(
        _ batch: [Int], _ tokens: [[Int]], skipping skipped: Int, _ workspace: ForwardWorkspace
    ) throws(PithError) -> Tensor {
        let sequences = batch.map { tokens[$0] }
        try model.requireMemory(reading: sequences.map(\.count))
        var states = sequences.map { _ in model.makeState() }
        let hidden = try model.hiddenStates(sequences, states: &states, workspace: workspace) { row in
            var first = 0
            for (index, sequence) in zip(batch, sequences) {
                if row < first + sequence.count { return "text \(index + 1), token \(row - first + 1)" }
                first += sequence.count
            }
            return "row \(row)"
        }
        var pooled: [Float] = []
        hidden.values.withUnsafeBufferPointer { hiddenStates in
            guard var base = hiddenStates.baseAddress else { return }
            for sequence in sequences {
                for pooling in modules.poolings {
                    pooled += pooling.pool(
                        base, rows: sequence.count, width: hidden.columns, skipping: min(skipped, sequence.count - 1))
                }
                base += sequence.count * hidden.columns
            }
        }
        var vectors = Tensor(shape: [batch.count, pooled.count / batch.count], values: pooled)
        for step in modules.steps { apply(step, to: &vectors, workspace) }
        return vectors
    }

    private func apply(_ step: SentenceModules.Step, to vectors: inout Tensor, _ workspace: ForwardWorkspace) {
        switch step {
        case .normalize:
            let width = vectors.columns
            for row in 0..<vectors.rows {
                let range = row * width..<(row + 1) * width
                let norm = vectors.values[range].reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                for i in range { vectors.values[i] = Float(Double(vectors.values[i]) / max(norm, 1e-12)) }
            }
        case .dense(let matrix, let bias, let isTanh):
            var result = Tensor(rows: vectors.rows, columns: matrix.outputCount)
            vectors.values.withUnsafeBufferPointer { input in
                result.values.withUnsafeMutableBufferPointer { output in
                    guard let input = input.baseAddress, let output = output.baseAddress else { return }
                    let block = workspace.block(model.precision)
                    block.load(input, rows: vectors.rows, width: vectors.columns)
                    block.multiply(by: [LinearProduct(matrix, into: output)], pool: model.pool)
                }
            }
            for i in 0..<result.count {
                let x = result.values[i] + (bias?[i % result.columns] ?? 0)
                result.values[i] = isTanh ? Float(1 - 2 / (exponential(2 * Double(x)) + 1)) : x
            }
            vectors = result
        }
    }
}
