/// How PEFT names what adapters add to the modules of a model.
package enum AdapterNames {
    /// The tensor of vectors in front.
    package static let prompt = "prompt_embeddings"
    /// What stands in front of the names of all others.
    static let prefix = "base_model.model."
    static let (a, b) = (".lora_A.weight", ".lora_B.weight")
    /// Where a module that something was added to keeps what it was.
    static let wrapped = ".base_layer"

    /// The module that a parameter belongs to: its name without its last part.
    package static func module(of name: String) -> String {
        name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    }

    /// The last part of a parameter's own name, with its dot: `.weight`.
    static func ending(of name: String) -> String {
        name.lastIndex(of: ".").map { String(name[$0...]) } ?? ""
    }

    /// The two factors that are added to a matrix.
    package static func factors(of name: String) -> (a: String, b: String) {
        let module = prefix + module(of: name)
        return (module + a, module + b)
    }

    /// A module's name behind the number of its layer; the whole name where it belongs to none.
    package static func nameInLayer(_ module: String) -> String {
        let parts = module.split(separator: ".")
        guard let number = parts.firstIndex(where: { Int($0) != nil }), number + 1 < parts.count else { return module }
        return parts[(number + 1)...].joined(separator: ".")
    }

    /// Names that match some modules and no others of all: those behind the layer's number where they stand for the
    /// same module of every layer.
    static func matching(_ chosen: [String], among all: [String]) -> [String] {
        let chosenSet = Set(chosen)
        let partial = Set(all.filter { !chosenSet.contains($0) }.map(nameInLayer))
        var names: [String] = []
        for module in chosen {
            let short = nameInLayer(module)
            let name = partial.contains(short) ? module : short
            if !names.contains(name) { names.append(name) }
        }
        return names
    }
}
