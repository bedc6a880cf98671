import PithCore
import PithModels

/// The weights of norms and all biases learn, from their own values on.
struct NormsAndBiases: AdapterMethod {
    static let entry = MethodEntry(
        identifier: "norms",
        paper: Paper("BitFit: Simple Parameter-efficient Fine-tuning", 2021, identifier: "2106.10199"),
        summary: "the weights of norms and all biases learn, and nothing else", options: [])

    init(_ options: OptionValues) throws(PithError) {}

    func parts(of description: ModelDescription) throws(PithError) -> AdapterParts {
        // Norms begin as ones and biases as zeros; what begins otherwise is something else.
        let ids = description.parameters.indices.filter { index in
            let spec = description.parameters[index]
            return spec.kind == .vector && (spec.initial == .ones || spec.initial == .zeros)
        }
        return AdapterParts(parts: ids.map { .parameter(ParameterID($0)) })
    }
}
