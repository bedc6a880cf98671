import CPithKernels
import PithCore
import PithFormats
import PithModels
import PithTensor

/// What a model needs to code tokens: −log2 of the probability that it gives to each.
public struct TokenBits: Sendable {
    /// The model.
    public let model: LanguageModel
    /// Rows that are read together, at least where sequences are shorter.
    private static let rowsTogether = 512

    /// What stands before every text.
    public let beginning: [Int]

    /// Bits under `model`; `beginning` is what its tokenizer puts before every text.
    public init(_ model: LanguageModel, beginning: [Int]) {
        self.model = model
        self.beginning = beginning
    }

    /// The bits of each token of `texts`, each text following `context`, which is read once.
    ///
    /// Where context and text do not fit the model's context together, the text is cut into pieces of half a context,
    /// each read behind as much as fits of what stands before it.
    public func bits(of texts: [[Int]], after context: [Int]) throws(PithError) -> [[Double]] {
        let room = model.configuration.contextLength
        guard room > max(1, beginning.count) else {
            throw .usage("a context of \(room) tokens has no room for a token and one before it")
        }
        var result = [[Double]](repeating: [], count: texts.count)
        let fitting = texts.indices.filter { context.count + texts[$0].count <= room && !texts[$0].isEmpty }
        var state = model.makeState()
        if context.count > 1, !fitting.isEmpty {
            var states = [state]
            try model.requireMemory(reading: [context.count - 1])
            _ = try model.hiddenStates([Array(context.dropLast())], states: &states)
            state = states[0]
        }
        var next = 0
        while next < fitting.count {
            var (group, rows) = ([Int](), 0)
            while next < fitting.count, group.isEmpty || rows + texts[fitting[next]].count <= Self.rowsTogether {
                group.append(fitting[next])
                rows += texts[fitting[next]].count
                next += 1
            }
            let bits = try read(group.map { texts[$0] }, numbers: group, after: context.last, from: state)
            for (index, bits) in zip(group, bits) { result[index] = bits }
        }
        for index in texts.indices where context.count + texts[index].count > room {
            result[index] = try bits(ofLong: texts[index], after: context)
        }
        return result
    }

    private func bits(ofLong text: [Int], after context: [Int]) throws(PithError) -> [Double] {
        let room = model.configuration.contextLength
        let step = max(1, min(room / 2, room - beginning.count))
        var result: [Double] = []
        for start in stride(from: 0, to: text.count, by: step) {
            let piece = Array(text[start..<min(start + step, text.count)])
            let before = context + text[..<start]
            let kept =
                before.count + piece.count <= room
                ? before : beginning + before.suffix(max(0, room - piece.count - beginning.count))
            result += try bits(of: [piece], after: kept)[0]
        }
        return result
    }

    /// Reads texts that each follow `last`, whose predecessors `state` holds; errors call them by their numbers.
    private func read(
        _ texts: [[Int]], numbers: [Int], after last: Int?, from state: SequenceState
    ) throws(PithError) -> [[Double]] {
        let width = model.configuration.vocabularySize
        // The row of a token predicts the next; without anything before it the first is as likely as any.
        let inputs = texts.map { (last.map { [$0] } ?? []) + $0.dropLast() }
        let read = inputs.indices.filter { !inputs[$0].isEmpty }
        var result = texts.map { _ in last == nil ? [naturalLogarithm(Double(width)) / naturalLogarithm(2)] : [] }
        guard !read.isEmpty else { return result }
        try model.requireMemory(
            reading: read.map { inputs[$0].count }, behind: read.map { _ in state.position }, areShared: true,
            logits: texts.map(\.count).max() ?? 0)
        var states = read.map { _ in state }
        let names = read.flatMap { index in
            inputs[index].indices.map { "text \(numbers[index] + 1), token \(state.position + $0 + 1)" }
        }
        let hidden = try model.hiddenStates(read.map { inputs[$0] }, states: &states) { names[$0] }
        var row = 0
        for index in read {
            let targets = Array(last == nil ? texts[index][1...] : texts[index][...])
            let logits = try model.logits(of: hidden, rows: row..<row + targets.count) { names[$0] }
            result[index] += Self.bits(logits, targets: targets, pool: model.pool)
            row += targets.count
        }
        return result
    }

    /// −log2 softmax(row)[target] for each row of logits, [targets, vocabulary].
    static func bits(_ logits: Tensor, targets: [Int], pool: ThreadPool) -> [Double] {
        let (width, kernels) = (logits.columns, kernels)
        return pool.map(targets.count, grain: 8) { row in
            logits.values.withUnsafeBufferPointer { logits in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { scratch in
                    let values = logits.baseAddress! + row * width
                    let peak = kernels.maximum(values, Int64(width))
                    let sum = kernels.exp_sum(values, peak, Int64(width), scratch.baseAddress!)
                    let logSum = Double(peak) + naturalLogarithm(Double(sum))
                    return (logSum - Double(values[targets[row]])) / naturalLogarithm(2)
                }
            }
        }
    }
}
