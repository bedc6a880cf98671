import PithCore
import PithModels

/// Low-rank adaptation: W + alpha / rank · B A.
struct LoRA: AdapterMethod {
    static let rank = MethodOption.integer("rank", 8, in: 1...1024, "columns of B and rows of A")
    static let alpha = MethodOption.real("alpha", 16, in: 1e-6...1e6, "B A is multiplied by alpha / rank")
    static let targets = MethodOption.text(
        "targets", "all", form: "parts of names, divided by |",
        "the matrices that are adapted; all are those of the layers but single experts")

    static let entry = MethodEntry(
        identifier: "lora",
        paper: Paper("LoRA: Low-Rank Adaptation of Large Language Models", 2021, identifier: "2106.09685"),
        summary: "a product of two narrow matrices, added to each matrix", options: [rank, alpha, targets])

    private let rank: Int
    private let scale: Float
    private let patterns: [String]?

    init(_ options: OptionValues) throws(PithError) {
        rank = options[Self.rank]
        scale = Float(options[Self.alpha] / Double(rank))
        let text = options[Self.targets]
        patterns = text == "all" ? nil : text.split(separator: "|").map(String.init)
    }

    func parts(of description: ModelDescription) throws(PithError) -> AdapterParts {
        let matrices = description.layers.indices.flatMap { description.matrices(ofLayer: $0) }
        if let missing = patterns?.first(where: { pattern in
            !matrices.contains { description[$0].name.contains(pattern) }
        }) {
            let known = Set(matrices.map { AdapterNames.nameInLayer(AdapterNames.module(of: description[$0].name)) })
                .sorted()
            throw .usage(
                "no matrix of the layers has '\(missing.shortened)' in its name", at: "method lora",
                remedy: "their names end in \(known.joined(separator: ", "))")
        }
        return AdapterParts(
            parts: matrices.filter { isTarget(description[$0].name) }.map { .lowRank(of: $0, rank: rank, scale: scale) }
        )
    }

    private func isTarget(_ name: String) -> Bool {
        // Other programs keep the experts of a layer in one tensor, which has no such factors.
        guard let patterns else { return !name.contains(".experts.") }
        return patterns.contains { name.contains($0) }
    }
}
