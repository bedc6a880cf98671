import PithCore

/// All methods of the data plane.
public enum DataCatalogue {
    /// The methods, in the order of help texts. A new method is a file in `Methods/` and a line here.
    public static let all: [any DataMethod.Type] = [
        Stored.self,
        Mix.self,
        LanguageModelCoding.self,
        LLMZip.self,
    ]

    /// The method of a spec of one stage.
    public static func method(for spec: Spec) throws(PithError) -> any DataMethod {
        guard let stage = spec.stages.first, spec.stages.count == 1 else {
            throw .usage("'\(spec)' is not one method", remedy: "for example \(all[0].identifier)")
        }
        guard let type = all.first(where: { $0.identifier == stage.name }) else {
            throw .unknownMethod(stage.name, among: all.map { $0.identifier })
        }
        return try type.init(OptionValues(stage, for: type.entry))
    }
}
