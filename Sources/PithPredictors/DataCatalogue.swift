import PithCore

/// All methods of the data plane.
public enum DataCatalogue {
    /// The methods, in the order of help texts. A new method is a file in `Methods/` and a line here.
    public static let all: [any DataMethod.Type] = [
        Stored.self,
        Lean.self,
        Mix.self,
        Midicoth.self,
        StateSMix.self,
        LanguageModelCoding.self,
        LLMZip.self,
        Circuit.self,
        Floats.self,
        Planes.self,
        Table.self,
    ]

    /// The method of a spec of one stage.
    public static func method(for spec: Spec) throws(PithError) -> any DataMethod {
        let (index, options) = try spec.onlyStage(example: all[0].identifier).resolve(among: all.map { $0.entry })
        return try all[index].init(options)
    }

    /// The plane.
    public static let plane = Plane(name: "data", use: "pith zip --method", methods: all)
}
