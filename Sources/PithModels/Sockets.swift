import CPithKernels
import PithCore
import PithTensor

/// Socket: what stands between the up and gate projections of a feed-forward block and its down projection.
public protocol ActivationGate: Sendable {
    /// Combines [rows, width] of gate and up into `output` of the same shape.
    func apply(
        gate: UnsafePointer<Float>, up: UnsafePointer<Float>, rows: Int, width: Int,
        into output: UnsafeMutablePointer<Float>, pool: ThreadPool)
}

/// The plain filler: SiLU(gate) · up.
public struct SwiGLU: ActivationGate {
    /// Creates the gate.
    public init() {}

    /// SiLU(gate) · up for [rows, width].
    public func apply(
        gate: UnsafePointer<Float>, up: UnsafePointer<Float>, rows: Int, width: Int,
        into output: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let kernels = kernels
        pool.forEachBlock(of: rows, grain: max(1, 8192 / max(1, width))) { block in
            let start = block.lowerBound * width
            kernels.swiglu(gate + start, up + start, Int64(block.count * width), output + start)
        }
    }
}

/// Where in the forward pass an activation was seen.
public enum ActivationSite: String, CaseIterable, Sendable {
    /// The residual stream before a layer, [rows, hidden].
    case residual
    /// The normalised input of the query, key and value projections, [rows, hidden].
    case attentionInput
    /// Queries after rotation, [rows, heads · headSize].
    case queries
    /// Keys after rotation, [rows, kvHeads · headSize].
    case keys
    /// Values, [rows, kvHeads · headSize].
    case values
    /// The input of the output projection, [rows, heads · headSize].
    case attentionOutput
    /// The normalised input of the gate and up projections, [rows, hidden].
    case feedForwardInput
    /// The input of the down projection, [rows, intermediate].
    case feedForwardHidden
    /// The normalised input of the head, [rows, hidden]; its layer is the number of layers.
    case headInput
    /// The logits, [rows, vocabulary]; their layer is the number of layers.
    case logits
}

/// Sees activations as they pass; calibration and diagnostics plug in here.
public protocol ActivationObserver: AnyObject {
    /// Called with [rows, width] activations, valid during the call only.
    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int)
}

/// The linear operators of a decoder layer, by what they compute.
public enum LinearSite: String, CaseIterable, Sendable {
    /// To queries.
    case query = "self_attn.q_proj"
    /// To keys.
    case key = "self_attn.k_proj"
    /// To values.
    case value = "self_attn.v_proj"
    /// From attention back to the residual stream.
    case output = "self_attn.o_proj"
    /// To the gate of the feed-forward block.
    case gate = "mlp.gate_proj"
    /// To the hidden units.
    case up = "mlp.up_proj"
    /// From the hidden units back to the residual stream.
    case down = "mlp.down_proj"

    /// The activation that is multiplied here.
    public var input: ActivationSite {
        switch self {
        case .query, .key, .value: .attentionInput
        case .output: .attentionOutput
        case .gate, .up: .feedForwardInput
        case .down: .feedForwardHidden
        }
    }

    /// The name of the weight in a Hugging Face folder.
    public func weightName(layer: Int) -> String { "model.layers.\(layer).\(rawValue).weight" }
}
