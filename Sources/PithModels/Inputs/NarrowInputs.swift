import PithCore

/// Inputs as narrow as the weights that they meet allow.
struct NarrowInputs: InputMethod {
    static let entry = MethodEntry(
        identifier: "narrow", paper: nil,
        summary: "inputs of 8 bits by group beside integer codes, bfloat16 beside BF16 weights: the faster", options: []
    )

    let precision = ActivationPrecision.narrow

    init() {}
    init(_ options: OptionValues) {}
}
