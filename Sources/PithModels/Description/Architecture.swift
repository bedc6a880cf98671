import PithCore
import PithFormats

/// A family of models: which configurations it takes, and what it makes of them.
///
/// An architecture is one file in `Architectures` and one line in `Architectures.all`.
public protocol Architecture: Sendable {
    /// What `model_type` in `config.json` may be.
    static var modelTypes: [String] { get }
    /// What `architectures` in `config.json` may hold.
    static var classNames: [String] { get }
    /// What `general.architecture` of a GGUF file may be.
    static var ggufNames: [String] { get }

    /// The sizes that all families share.
    var configuration: ModelConfiguration { get }
    /// Reads a configuration as `transformers` writes it; refuses by name what the family cannot do.
    init(_ keys: JSONReader) throws(PithError)
    /// Adds to the keys of a GGUF file, in the words of `config.json`, what such files of the family leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile)
    /// Whether a tensor of a folder is none of the parameters, though it belongs to the family.
    static func isUnused(_ name: String) -> Bool
    /// The parameters and the blocks.
    func describe() -> ModelDescription
}

extension Architecture {
    /// Most families have no others.
    public static func isUnused(_ name: String) -> Bool { false }
}

/// The families that Pith knows.
public enum Architectures {
    /// One line for each.
    public static let all: [any Architecture.Type] = [
        Llama.self, Qwen2.self, Qwen2Mixture.self, Qwen3.self, Qwen3Mixture.self, Gemma2.self, Gemma3.self, Phi3.self,
        GPT2.self, GPTNeoX.self, Bert.self, Mamba.self, RWKV.self,
    ]

    /// Reads `config.json` in `folder`.
    public static func open(folder: String) throws(PithError) -> any Architecture {
        let path = joinPath(folder, ModelConfiguration.fileName)
        let document = try JSONValue(contentsOf: path)
        do { return try open(JSONReader(document)) } catch { throw error.within(path) }
    }

    /// The architecture that a configuration names, with that configuration.
    public static func open(_ keys: JSONReader) throws(PithError) -> any Architecture {
        let remedy = "known are \(all.flatMap { $0.modelTypes }.joined(separator: ", "))"
        let classes = try keys.optional("architectures")
        var names: [String] = []
        for name in try classes?.array() ?? [] { names.append(try name.text()) }
        if let type = try keys.optional("model_type") {
            let name = try type.text()
            guard let family = all.first(where: { $0.modelTypes.contains(name) }) else {
                throw type.failure("'\(name.shortened)' is not supported", remedy: remedy)
            }
            // A class of the family that does something else, such as a classifier.
            if let classes, !names.isEmpty, !names.contains(where: family.classNames.contains) {
                throw classes.failure(
                    "'\(names.joined(separator: ", ").shortened)' is not supported",
                    remedy: "of \(name), \(family.classNames.joined(separator: ", ")) is")
            }
            return try family.init(keys)
        }
        guard let classes else { throw keys.failure("has neither model_type nor architectures", remedy: remedy) }
        guard let family = all.first(where: { names.contains(where: $0.classNames.contains) }) else {
            throw classes.failure(
                "'\(names.joined(separator: ", ").shortened)' is not supported", remedy: remedy)
        }
        return try family.init(keys)
    }
}
