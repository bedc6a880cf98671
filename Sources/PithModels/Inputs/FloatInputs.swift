import PithCore

/// Inputs as they were computed.
struct FloatInputs: InputMethod {
    static let entry = MethodEntry(
        identifier: "float", paper: nil, summary: "inputs of 32 bits beside all weights", options: [])

    let precision = ActivationPrecision.float

    init(_ options: OptionValues) {}
}
