import PithCore
import PithFormats
import PithModels

/// A model as it is evaluated on texts.
public struct EvaluatedModel: Sendable {
    /// The model.
    public var model: LanguageModel
    /// Its tokenizer.
    public var tokenizer: Tokenizer

    /// A model with its tokenizer.
    public init(_ model: LanguageModel, tokenizer: Tokenizer) {
        self.model = model
        self.tokenizer = tokenizer
    }
}

/// What a model needs for dated text: bits per byte by period, and before and after a cutoff.
///
/// The rate after the cutoff says how the model generalises; the gap, the rate after minus the rate before, how
/// robust it is. Tokens do not enter the figures, so that models with other tokenizers compare.
public struct DatedEvaluation: Sendable {
    /// The figures of some texts.
    public struct Row: Sendable {
        /// The period, or `before` or `after`.
        public var name: String
        /// Texts.
        public var documents: Int
        /// Bytes of the texts.
        public var bytes: Int
        /// Bits per byte for each window length.
        public var bitsPerByte: [Estimate]
        /// The same of the reference.
        public var referenceBitsPerByte: [Estimate]
        /// The Jensen-Shannon divergence of the models' predictions in bits per token, at the longest window; nil
        /// without a reference of the same tokens.
        public var divergence: Estimate?
    }

    /// What was measured.
    public struct Report: Sendable {
        /// Tokens that were read at a time.
        public var windows: [Int]
        /// The periods in order.
        public var periods: [Row]
        /// All texts before and after the cutoff; empty without one.
        public var sides: [Row]
        /// After minus before, for each window length; empty without texts on both sides.
        public var gap: [Estimate] { Self.gap(sides.map(\.bitsPerByte)) }
        /// The same of the reference.
        public var referenceGap: [Estimate] { Self.gap(sides.map(\.referenceBitsPerByte)) }

        private static func gap(_ sides: [[Estimate]]) -> [Estimate] {
            sides.count == 2 ? zip(sides[1], sides[0]).map { $0 - $1 } : []
        }
    }

    /// Tokens that are read from an empty context at a time.
    public var windows: [Int]
    /// What belongs together.
    public var period: Period
    /// The first date that the model cannot know; nil for none.
    public var cutoff: String?

    /// An evaluation with given windows.
    public init(windows: [Int] = [512], period: Period = .month, cutoff: String? = nil) throws(PithError) {
        guard !windows.isEmpty, windows.allSatisfy({ $0 >= 2 }) else {
            throw .usage("a window should have at least 2 tokens")
        }
        if let cutoff, DatedText.date(in: cutoff) != cutoff {
            throw .usage("'\(cutoff)' is no date", remedy: "write it as 2023-05-17, 2023-05 or 2023")
        }
        self.windows = windows
        self.period = period
        self.cutoff = cutoff
    }

    /// Sums over the texts of one row.
    private struct Sums {
        var documents = 0
        var bytes = 0
        var bits: [BlockSums]
        var referenceBits: [BlockSums]
        var divergence = BlockSums()

        init(windows: Int) {
            bits = .init(repeating: BlockSums(), count: windows)
            referenceBits = bits
        }

        mutating func add(_ other: Sums) {
            documents += other.documents
            bytes += other.bytes
            for i in bits.indices {
                bits[i].append(other.bits[i])
                referenceBits[i].append(other.referenceBits[i])
            }
            divergence.append(other.divergence)
        }

        func row(_ name: String, hasReference: Bool, hasDivergence: Bool) -> Row {
            Row(
                name: name, documents: documents, bytes: bytes, bitsPerByte: bits.map(\.ratio),
                referenceBitsPerByte: hasReference ? referenceBits.map(\.ratio) : [],
                divergence: hasDivergence ? divergence.ratio : nil)
        }
    }

    /// Measures `model`, and `reference` if there is one.
    public func run(
        _ model: EvaluatedModel, reference: EvaluatedModel? = nil, on texts: [DatedText], quiet: Bool = true
    ) throws(PithError) -> Report {
        for evaluated in [model, reference].compactMap({ $0 }) {
            let limit = evaluated.model.configuration.contextLength
            if let wrong = windows.first(where: { $0 > limit }) {
                throw .usage("a window of \(wrong) tokens", remedy: "the model reads at most \(limit)")
            }
        }
        let comparable = reference.map { Self.haveSameTokens($0.tokenizer, model.tokenizer) } ?? false
        var periods: [(name: String, sums: Sums)] = []
        var sides = [Sums](repeating: Sums(windows: windows.count), count: 2)
        var progress = Progress("measuring", total: texts.count, quiet: quiet)
        for (index, text) in texts.enumerated() {
            let sums = try measure(text, model, reference, comparable: comparable)
            let name = period.name(text.date)
            if periods.last?.name != name { periods.append((name, Sums(windows: windows.count))) }
            periods[periods.count - 1].sums.add(sums)
            if let cutoff { sides[try text.isAfter(cutoff) ? 1 : 0].add(sums) }
            progress.update(index + 1)
        }
        progress.finish()
        func row(_ name: String, _ sums: Sums) -> Row {
            sums.row(name, hasReference: reference != nil, hasDivergence: comparable)
        }
        return Report(
            windows: windows, periods: periods.map { row($0.name, $0.sums) },
            sides: cutoff == nil ? [] : [row("before", sides[0]), row("after", sides[1])])
    }

    private func measure(
        _ text: DatedText, _ model: EvaluatedModel, _ reference: EvaluatedModel?, comparable: Bool
    ) throws(PithError) -> Sums {
        var sums = Sums(windows: windows.count)
        sums.documents = 1
        sums.bytes = text.text.utf8.count
        for (index, window) in windows.enumerated() {
            sums.bits[index] = try bits(of: text, model, window)
            if let reference { sums.referenceBits[index] = try bits(of: text, reference, window) }
        }
        if comparable, let reference, let window = windows.max() {
            sums.divergence = try JensenShannon(model.model, reference.model)
                .divergence(on: Self.cut(text, model, window))
        }
        return sums
    }

    private static func cut(
        _ text: DatedText, _ model: EvaluatedModel, _ window: Int
    ) throws(PithError) -> EvaluationText {
        try EvaluationText(
            text.text, name: "a text of \(text.date)", tokenizer: model.tokenizer,
            configuration: model.model.configuration, windowLength: window)
    }

    /// Bits over bytes, in blocks of tokens.
    private func bits(of text: DatedText, _ model: EvaluatedModel, _ window: Int) throws(PithError) -> BlockSums {
        let windows = try Self.cut(text, model, window).windows
        let coder = TokenBits(model.model, beginning: model.tokenizer.beginning)
        let first = coder.beginning.count
        let bits = try coder.bits(of: windows.map { Array($0.tokens[first...]) }, after: coder.beginning)
        var sums = BlockSums()
        for (window, bits) in zip(windows, bits) {
            // Bits begin behind what stands before every text; without that the first token is not predicted.
            for start in stride(from: window.firstPredicted, to: window.tokens.count, by: BlockSums.blockLength) {
                let block = start..<min(start + BlockSums.blockLength, window.tokens.count)
                sums.append(
                    bits[block.lowerBound - first..<block.upperBound - first].reduce(0, +),
                    over: Double(window.byteCounts[block].reduce(0, +)))
            }
        }
        return sums
    }

    private static func haveSameTokens(_ a: Tokenizer, _ b: Tokenizer) -> Bool {
        a.vocabularySize == b.vocabularySize && (0..<a.vocabularySize).allSatisfy { a.token($0) == b.token($0) }
    }
}
