import PithCore

/// How finely the inputs of matrices are kept: what a spec of the plane of activations names.
public protocol InputMethod: RegisteredMethod {
    /// The precision that operators are given.
    var precision: ActivationPrecision { get }
}

/// All ways of keeping the inputs of matrices.
public enum InputCatalogue {
    /// One line for each, the usual one first.
    public static let all: [any InputMethod.Type] = [NarrowInputs.self, FloatInputs.self]

    /// The plane.
    public static let plane = Plane(name: "activations", use: "--activations", methods: all)

    /// The method of a spec: one stage; none is the usual.
    public static func method(for spec: Spec) throws(PithError) -> any InputMethod {
        if spec.stages.isEmpty { return NarrowInputs() }
        let (index, options) = try spec.onlyStage(example: "float").resolve(among: all.map { $0.entry })
        return try all[index].init(options)
    }
}
