/// Where in the forward pass an activation was seen.
public enum ActivationSite: Hashable, Sendable {
    /// The residual stream before a layer, [rows, hidden].
    case residual
    /// What these matrices multiply, [rows, inputs].
    case input(of: [ParameterID])
    /// What a norm makes of its input, [rows, width].
    case normalized(by: ParameterID)
    /// Queries, after rotation, [rows, heads · headDimension].
    case queries
    /// Keys, after rotation, [rows, keyValueHeads · headDimension].
    case keys
    /// Values, [rows, keyValueHeads · headDimension].
    case values
    /// What enters an element-wise function or a recurrence, [rows, width].
    case operand
    /// A parameter that is read element by element, [1, count].
    case elements(of: ParameterID)
    /// The logits, [rows, vocabulary].
    case logits
}

/// Sees activations as they pass; calibration and diagnostics plug in here.
public protocol ActivationObserver: AnyObject {
    /// Called with [rows, width] activations, valid during the call only. Behind the last layer, `layer` is the number
    /// of layers.
    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int)
}
