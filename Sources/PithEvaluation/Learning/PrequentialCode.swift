import PithCoding
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTraining
import PithWeights

/// Codes examples one after another, each with what was learned from those before it: Σ −log2 p(example k | examples
/// before k). Learning that generalises early makes the sum small; it needs no other term for the model's complexity.
public struct PrequentialCode: Sendable {
    /// The bits of each example, in order.
    public var bits: [Double]
    /// The bits of all.
    public var total: Double { bits.reduce(0, +) }

    /// Codes that a model learns in context: it reads all examples, with line breaks between them, at once.
    public static func inContext(
        _ examples: [String], _ model: EvaluatedModel
    ) throws(PithError) -> PrequentialCode {
        let tokens = try tokens(of: examples, model)
        let coder = TokenBits(model.model, beginning: model.tokenizer.beginning)
        var all = try coder.bits(of: [tokens.flatMap { $0 }], after: coder.beginning)[0][...]
        return PrequentialCode(
            bits: tokens.map { example in
                defer { all = all.dropFirst(example.count) }
                return all.prefix(example.count).reduce(0, +)
            })
    }

    /// The same examples through the range coder: the whole stream, whose length is what `inContext` predicts.
    public static func arithmeticCode(_ examples: [String], _ model: EvaluatedModel) throws(PithError) -> [UInt8] {
        let tokens = try tokens(of: examples, model).flatMap { $0 }
        var encoder = RangeEncoder()
        func encode(_ token: Int, _ logits: [Float]) throws(PithError) {
            let table = try logits.withUnsafeBufferPointer { (logits) throws(PithError) in
                try CumulativeTable(logits: logits)
            }
            table.encode(token, to: &encoder)
        }
        let beginning = model.tokenizer.beginning
        // Without anything before it the first token is as likely as any.
        let read = beginning.isEmpty ? tokens : beginning + tokens
        let first = max(1, beginning.count)
        if beginning.isEmpty {
            try encode(tokens[0], [Float](repeating: 0, count: model.model.configuration.vocabularySize))
        }
        guard read.count > first else { return encoder.finish() }
        try model.model.requireMemory(reading: [read.count - 1], logits: 1)
        var states = [model.model.makeState()]
        let hidden = try model.model.hiddenStates([Array(read.dropLast())], states: &states)
        for place in first..<read.count {
            let logits = try model.model.logits(of: hidden, rows: place - 1..<place) { "token \($0 + 1)" }
            try encode(read[place], logits.values)
        }
        return encoder.finish()
    }

    /// Codes of a learner that trains: before example k its weights took `steps` steps on each of the examples before,
    /// and it reads every example alone. It begins with the weights of `folder`.
    public static func testTimeTrained(
        _ examples: [String], _ folder: ModelSource, steps: Int = 2, learningRate: Double = 3e-4, pool: ThreadPool,
        quiet: Bool = true
    ) throws(PithError) -> PrequentialCode {
        guard folder.manifest == nil else {
            throw .usage("cannot be trained", at: folder.path, remedy: "give a model as it came")
        }
        let sequences = examples.map { folder.tokenizer.encodeFromBeginning($0 + "\n").map { Int32($0) } }
        // Without anything before it the first token is as likely as any.
        let free =
            folder.tokenizer.beginning.isEmpty ? naturalLogarithm(Double(folder.configuration.vocabularySize)) : 0
        try folder.requireOutput()
        let learner = DecoderLearner(
            continuing: try folder.loadModel(layouts: WeightLayouts.catalogue, pool: pool), pool: pool)
        /// Steps on an example, and on some of those before it so that they are not forgotten.
        func learn(_ index: Int) throws(PithError) {
            let recent = Array(sequences[max(0, index - 7)...index])
            for _ in 0..<steps {
                _ = try learner.computeGradient(of: recent)
                learner.update(rate: learningRate)
            }
        }
        var code = PrequentialCode(bits: [])
        var progress = Progress("training", total: examples.count, quiet: quiet)
        for (index, sequence) in sequences.enumerated() {
            do throws(PithError) {
                let losses = try learner.losses(of: [sequence])[0].dropFirst(
                    max(0, folder.tokenizer.beginning.count - 1))
                code.bits.append(losses.reduce(free, +) / naturalLogarithm(2))
                try learn(index)
            } catch { throw error.within("example \(index + 1)") }
            progress.update(index + 1)
        }
        progress.finish()
        return code
    }

    /// The tokens of each example and the line break behind it; all together they must fit the context.
    private static func tokens(of examples: [String], _ model: EvaluatedModel) throws(PithError) -> [[Int]] {
        let tokens = examples.map { model.tokenizer.encode($0 + "\n", .plain) }
        let count = tokens.reduce(0) { $0 + $1.count }
        let room = model.model.configuration.contextLength - max(1, model.tokenizer.beginning.count) + 1
        guard (1..<room).contains(count), !examples.isEmpty else {
            throw .usage(
                "\(examples.count) examples of \(count) tokens", remedy: "1…\(room - 1) tokens fit the context")
        }
        return tokens
    }
}
