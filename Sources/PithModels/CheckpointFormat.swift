import PithCore
import PithFormats

/// How the folders of another program store the matrices that it has quantised.
///
/// A format is one file and one line in the catalogue of layouts, which opens its matrices as Pith's own stored forms:
/// they are multiplied in the bits in which they came.
public protocol CheckpointFormat: Sendable {
    /// The name, as `quant_method` has it where there is one.
    static var name: String { get }

    /// Reads a `config.json`; nil if it is of another format.
    init?(_ configuration: JSONReader) throws(PithError)

    /// The matrix of the weight called `name`, [outputs, inputs]; nil where the folder has it as it came.
    func matrix(
        _ name: String, shape: [Int], in archive: TensorArchive, layouts: LayoutCatalogue
    ) throws(PithError) -> (any StoredLinear)?
}

/// Names of the tensors by which other programs store a weight.
public enum CheckpointNames {
    /// The endings that stand in the place of `weight`, of those tensors of which every stored weight has one.
    static let endings = ["qweight", "weight_packed", "compressed", "weight"]

    /// The name of a weight without its ending: that of the module which it belongs to.
    public static func module(_ weight: String) -> String {
        weight.hasSuffix(".weight") ? String(weight.dropLast(".weight".count)) : weight
    }

    /// Whether a folder has a weight in some form.
    static func isThere(_ weight: String, _ archive: TensorArchive) -> Bool {
        let module = module(weight)
        return endings.contains { archive.contains("\(module).\($0)") || archive.contains("\(weight).\($0)") }
    }
}
