import PithCore
import PithModels
import PithTensor

/// How much is left out, and in which arrangement: the options that all pruners share.
enum SparsityTarget: Sendable {
    /// A share of all weights, wherever they stand.
    case anywhere(Double)
    /// All but n of every m weights of a row.
    case pattern(KeepPattern)

    static let schema: [OptionSchema] = [
        .real("sparsity", 0.5, in: 0...0.99, "the share of weights left out, if no pattern is given"),
        .choice(
            "pattern", "none", of: ["none"] + KeepPattern.all.map(\.description),
            "n:m keeps n of every m weights of a row"),
    ]

    init(_ options: OptionValues) throws(PithError) {
        let pattern = options.text("pattern")
        self = pattern == "none" ? .anywhere(options.real("sparsity")) : .pattern(try KeepPattern(parsing: pattern))
    }

    /// The pattern, if there is one.
    var pattern: KeepPattern? {
        if case .pattern(let pattern) = self { pattern } else { nil }
    }

    /// The weights of `weight` for which `kept` is true, in the stored form that suits the arrangement.
    func store(_ weight: Tensor, keeping kept: [Bool]) throws(PithError) -> any StoredLinear {
        if let pattern { return try PatternSparse(weight, keeping: kept, pattern) }
        return try BitmaskSparse(weight, keeping: kept)
    }

    /// How many of the first `count` weights of a matrix, in whatever order, are left out: the share of them rounded.
    static func leftOut(of count: Int, _ sparsity: Double) -> Int {
        min(count, Int((sparsity * Double(count)).rounded()))
    }
}

/// A codec that leaves weights out.
protocol PruningCodec: WeightCodec {
    /// What it leaves out.
    var target: SparsityTarget { get }
}

/// A quantizer may follow a pruner with a pattern, whose kept weights form a smaller matrix, and nothing else.
func validateQuantizer(_ name: String, after previous: any WeightCodec) throws(PithError) {
    if let pruner = previous as? any PruningCodec, pruner.target.pattern != nil { return }
    let before = type(of: previous).identifier
    throw .usage(
        "\(name) cannot follow \(before)",
        remedy: "put \(name) first, or behind a pruner with a pattern: sparsegpt:pattern=2:4+\(name)")
}

extension PatternSparse {
    /// The same selection with its kept weights, [rows, groups · n], stored anew.
    func replacingValues(
        _ store: (Tensor) throws(PithError) -> any StoredLinear
    ) throws(PithError) -> PatternSparse {
        var parts = stored
        parts.components["values"] = try store(values.decodedWeight())
        return try PatternSparse(parts, shape: [outputCount, inputCount], layouts: WeightLayouts.catalogue)
    }
}
