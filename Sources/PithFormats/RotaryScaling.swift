import PithCore
import PithTensor

/// How rotary frequencies are changed for contexts longer than the first training had.
public enum RotaryScaling: Hashable, Sendable {
    /// Not at all.
    case none
    /// All frequencies are divided by `factor`.
    case linear(factor: Double)
    /// Low frequencies are divided by `factor`, high ones kept, and those between blended (Llama 3.1).
    case llama3(
        factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContextLength: Int)
    /// Each frequency is divided by its own number: how GGUF files store the scaling of Llama 3.
    case divisors([Double])
}

extension RotaryScaling {
    /// Reads `rope_scaling` or `rope_parameters`; nil stands for a missing key.
    public init(_ reader: JSONReader?) throws(PithError) {
        guard let reader else {
            self = .none
            return
        }
        // The key was `type` before it was `rope_type`.
        let key = try reader.optional("rope_type", "type")
        let factors = 1e-3...1e6
        switch try key?.text() ?? "default" {
        case "default": self = .none
        case "linear": self = .linear(factor: try reader.member("factor").real(in: factors))
        case "llama3":
            let low = try reader.member("low_freq_factor").real(in: factors)
            let high = try reader.member("high_freq_factor").real(in: factors)
            guard low < high else { throw reader.failure("low_freq_factor is not below high_freq_factor") }
            self = .llama3(
                factor: try reader.member("factor").real(in: factors), lowFrequencyFactor: low,
                highFrequencyFactor: high,
                originalContextLength: try reader.member("original_max_position_embeddings").integer(in: 1...1 << 24))
        case "divisors":
            var divisors: [Double] = []
            for divisor in try reader.member("divisors").array() { divisors.append(try divisor.real(in: factors)) }
            self = .divisors(divisors)
        case let kind:
            throw reader.failure(
                "the rotary scaling '\(kind.shortened)' is not supported",
                remedy: "default, linear and llama3 are")
        }
    }

    /// The value of `rope_scaling`.
    var json: JSONValue {
        switch self {
        case .none: .null
        case .linear(let factor): ["rope_type": "linear", "factor": .real(factor)]
        case .divisors(let divisors):
            ["rope_type": "divisors", "divisors": .array(divisors.map { .real($0) })]
        case .llama3(let factor, let low, let high, let original):
            [
                "rope_type": "llama3", "factor": .real(factor), "low_freq_factor": .real(low),
                "high_freq_factor": .real(high), "original_max_position_embeddings": .integer(original),
            ]
        }
    }

    /// One frequency, scaled. Single precision, operation by operation as the reference implementation does it.
    private func scaled(_ frequency: Float, at index: Int) -> Float {
        switch self {
        case .none: return frequency
        case .divisors(let divisors):
            return divisors.indices.contains(index) ? frequency / Float(divisors[index]) : frequency
        case .linear(let factor): return frequency / Float(factor)
        case .llama3(let factor, let low, let high, let original):
            let wavelength = Float(2 * Double.pi) / frequency
            let original = Double(original)
            if wavelength > Float(original / low) { return frequency / Float(factor) }
            if wavelength < Float(original / high) { return frequency }
            let blend = (Float(original) / wavelength - Float(low)) / Float(high - low)
            return (1 - blend) * frequency / Float(factor) + blend * frequency
        }
    }
}

extension RotaryScaling {
    /// The angle per position of each pair of elements of a head: headSize / 2 values.
    public func inverseFrequencies(headSize: Int, theta: Double) -> [Float] {
        (0..<headSize / 2).map { i in
            let exponent = Float(2 * i) / Float(headSize)
            return scaled(1 / Float(power(Double(Float(theta)), Double(exponent))), at: i)
        }
    }
}
