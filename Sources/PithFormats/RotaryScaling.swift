import PithCore
import PithTensor

/// How rotary frequencies are changed for contexts longer than the first training had.
public enum RotaryScaling: Hashable, Sendable {
    /// Not at all.
    case none
    /// All frequencies are divided by `factor`.
    case linear(factor: Double)
    /// Up to `originalContextLength` not at all; behind it the base grows with the length that was read.
    case dynamic(factor: Double, originalContextLength: Int)
    /// Low frequencies are divided by `factor`, high ones kept, and those between blended (Llama 3.1).
    case llama3(
        factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContextLength: Int)
    /// The same by the number of turns within the original context (Peng et al. 2023).
    case yarn(YarnScaling)
    /// Each frequency is divided by its own number, other ones behind `originalContextLength`; cosines and sines are
    /// multiplied by `amplitude` (Ding et al. 2024).
    case longRope(short: [Double], long: [Double], originalContextLength: Int, amplitude: Double)
    /// Each frequency is divided by its own number: how GGUF files store the scaling of Llama 3.
    case divisors([Double])

    /// Lengths that have the same frequencies.
    public enum Stage: Hashable, Sendable {
        /// Those of the original context.
        case original
        /// Those behind it.
        case extended
        /// One length.
        case length(Int)
    }
}

/// What YaRN is told (Peng et al. 2023).
public struct YarnScaling: Hashable, Sendable {
    /// Divides frequencies that turn seldom.
    public var factor: Double
    /// Frequencies that turn more often than this in the original context are kept.
    public var fastTurns: Double
    /// Those that turn less often than this are divided.
    public var slowTurns: Double
    /// The context that the first training had.
    public var originalContextLength: Int
    /// Multiplies cosines and sines.
    public var amplitude: Double
    /// Whether the range between both is widened to whole pairs.
    public var isTruncated: Bool

    /// How much of each frequency, of `count`, is divided: 0 for those that are kept, 1 for those that are divided.
    fileprivate func ramp(count: Int, theta: Double) -> [Float] {
        func place(of turns: Double) -> Double {
            Double(2 * count) * naturalLogarithm(Double(originalContextLength) / (turns * 2 * .pi))
                / (2 * naturalLogarithm(theta))
        }
        let (first, last) = (place(of: fastTurns), place(of: slowTurns))
        let low = max(isTruncated ? first.rounded(.down) : first, 0)
        var high = min(isTruncated ? last.rounded(.up) : last, Double(2 * count - 1))
        if low == high { high += 0.001 }
        return (0..<count).map { min(max((Float($0) - Float(low)) / Float(high - low), 0), 1) }
    }
}

extension RotaryScaling {
    /// Reads `rope_scaling` or `rope_parameters`, of a model whose context has `contextLength` positions; nil stands for
    /// a missing key. `original` is that of the first training, if the configuration says it elsewhere.
    public init(_ reader: JSONReader?, contextLength: Int, original: Int? = nil) throws(PithError) {
        guard let reader else {
            self = .none
            return
        }
        let factors = 1e-3...1e6
        let own = try reader.optional("original_max_position_embeddings")?.integer(in: 1...1 << 24)
        let originalLength = own ?? original ?? contextLength
        func factor() throws(PithError) -> Double {
            // Where it is missing it follows from both lengths.
            let missing = Double(contextLength) / Double(originalLength)
            return try reader.optional("factor")?.real(in: factors) ?? missing
        }
        // The key was `type` before it was `rope_type`.
        switch try reader.optional("rope_type", "type")?.text() ?? "default" {
        case "default": self = .none
        case "linear": self = .linear(factor: try reader.member("factor").real(in: factors))
        case "dynamic":
            self = .dynamic(
                factor: try reader.member("factor").real(in: 1...1e4), originalContextLength: contextLength)
        case "llama3":
            let low = try reader.member("low_freq_factor").real(in: factors)
            let high = try reader.member("high_freq_factor").real(in: factors)
            guard low < high else { throw reader.failure("low_freq_factor is not below high_freq_factor") }
            self = .llama3(
                factor: try reader.member("factor").real(in: factors), lowFrequencyFactor: low,
                highFrequencyFactor: high, originalContextLength: originalLength)
        case "yarn":
            self = .yarn(try YarnScaling(reader, factor: factor(), originalContextLength: originalLength))
        case "longrope", "su":
            let factor = try factor()
            let amplitude =
                factor <= 1 ? 1 : (1 + naturalLogarithm(factor) / naturalLogarithm(Double(originalLength))).squareRoot()
            self = .longRope(
                short: try Self.numbers(reader.member("short_factor")),
                long: try Self.numbers(reader.member("long_factor")), originalContextLength: originalLength,
                amplitude: try reader.optional("attention_factor")?.real(in: factors) ?? amplitude)
        case "divisors": self = .divisors(try Self.numbers(reader.member("divisors")))
        case let kind:
            throw reader.failure(
                "the rotary scaling '\(kind.shortened)' is not supported",
                remedy: "default, linear, dynamic, llama3, yarn and longrope are")
        }
    }

    private static func numbers(_ reader: JSONReader) throws(PithError) -> [Double] {
        var numbers: [Double] = []
        for number in try reader.array() { numbers.append(try number.real(in: 1e-3...1e6)) }
        return numbers
    }

    /// Llama 3's scaling, if that is where what frequencies are divided by comes from; GGUF files hold nothing else of it.
    public static func llama3(dividing divisors: [Double], theta: Double) -> RotaryScaling? {
        guard let factor = divisors.max(), factor > 1 else { return nil }
        let size = 2 * divisors.count
        let plain = RotaryScaling.none.inverseFrequencies(size: size, theta: theta)
        // All of that family have these bounds, and lengths that are powers of two.
        let candidates = (5...20).map { power in
            RotaryScaling.llama3(
                factor: factor, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 1 << power)
        }
        return candidates.first { candidate in
            zip(zip(plain, candidate.inverseFrequencies(size: size, theta: theta)), divisors).allSatisfy {
                abs(Double($0.0 / $0.1) - $1) <= 1e-3 * $1
            }
        }
    }

    /// The value of `rope_scaling`.
    package var json: JSONValue {
        switch self {
        case .none: .null
        case .linear(let factor): ["rope_type": "linear", "factor": .real(factor)]
        case .dynamic(let factor, _): ["rope_type": "dynamic", "factor": .real(factor)]
        case .divisors(let divisors):
            ["rope_type": "divisors", "divisors": .array(divisors.map { .real($0) })]
        case .llama3(let factor, let low, let high, let original):
            [
                "rope_type": "llama3", "factor": .real(factor), "low_freq_factor": .real(low),
                "high_freq_factor": .real(high), "original_max_position_embeddings": .integer(original),
            ]
        case .yarn(let yarn): yarn.json
        case .longRope(let short, let long, let original, let amplitude):
            [
                "rope_type": "longrope", "short_factor": .array(short.map { .real($0) }),
                "long_factor": .array(long.map { .real($0) }), "attention_factor": .real(amplitude),
                "original_max_position_embeddings": .integer(original),
            ]
        }
    }

    /// Positions that a model can read whose configuration says `contextLength`.
    func contextLength(_ contextLength: Int) -> Int {
        guard case .dynamic(let factor, _) = self else { return contextLength }
        return min(Int(Double(contextLength) * factor), ModelConfiguration.sizeLimit)
    }
}

extension YarnScaling {
    init(_ reader: JSONReader, factor: Double, originalContextLength: Int) throws(PithError) {
        let numbers = 1e-6...1e6
        func number(_ key: String) throws(PithError) -> Double? {
            guard let value = try reader.optional(key), try value.real() != 0 else { return nil }
            return try value.real(in: numbers)
        }
        func amplitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * naturalLogarithm(factor) + 1 }
        var following = amplitude(1)
        if let one = try number("mscale"), let all = try number("mscale_all_dim") {
            following = amplitude(one) / amplitude(all)
        }
        (self.factor, self.originalContextLength) = (factor, originalContextLength)
        (fastTurns, slowTurns) = (try number("beta_fast") ?? 32, try number("beta_slow") ?? 1)
        guard fastTurns >= slowTurns else { throw reader.failure("beta_fast is below beta_slow") }
        self.amplitude = try number("attention_factor") ?? following
        isTruncated = try reader.optional("truncate")?.flag() ?? true
    }

    fileprivate var json: JSONValue {
        [
            "rope_type": "yarn", "factor": .real(factor), "beta_fast": .real(fastTurns), "beta_slow": .real(slowTurns),
            "original_max_position_embeddings": .integer(originalContextLength), "attention_factor": .real(amplitude),
            "truncate": .bool(isTruncated),
        ]
    }
}

extension RotaryScaling {
    /// The stage of a text that was read up to `length`. What was read before keeps the angles that it had.
    public func stage(ofLength length: Int) -> Stage {
        switch self {
        case .dynamic(_, let original): length > original ? .length(length) : .original
        case .longRope(_, _, let original, _): length > original ? .extended : .original
        case .none, .linear, .llama3, .yarn, .divisors: .original
        }
    }

    /// Whether the angles of a position depend on how far the text was read with it.
    public var followsLength: Bool {
        switch self {
        case .dynamic, .longRope: true
        case .none, .linear, .llama3, .yarn, .divisors: false
        }
    }

    /// What cosines and sines are multiplied by.
    public var amplitude: Float {
        switch self {
        case .yarn(let yarn): Float(yarn.amplitude)
        case .longRope(_, _, _, let amplitude): Float(amplitude)
        case .none, .linear, .dynamic, .llama3, .divisors: 1
        }
    }

    /// The angle per position of each pair of elements, of which `size` are turned: size / 2 values. Single precision,
    /// operation by operation as the reference implementation does it.
    public func inverseFrequencies(size: Int, theta: Double, stage: Stage = .original) -> [Float] {
        let base = base(theta, size: size, stage)
        let frequencies = (0..<size / 2).map { i in
            1 / Float(power(Double(Float(base)), Double(Float(2 * i) / Float(size))))
        }
        switch self {
        case .none, .dynamic: return frequencies
        case .linear(let factor): return frequencies.map { $0 / Float(factor) }
        case .divisors(let divisors): return Self.divide(frequencies, by: divisors)
        case .longRope(let short, let long, _, _):
            return Self.divide(frequencies, by: stage == .original ? short : long)
        case .llama3: return frequencies.map(blended)
        case .yarn(let yarn):
            return zip(frequencies, yarn.ramp(count: size / 2, theta: theta)).map { frequency, part in
                frequency / Float(yarn.factor) * part + frequency * (1 - part)
            }
        }
    }

    private func base(_ theta: Double, size: Int, _ stage: Stage) -> Double {
        guard case .dynamic(let factor, let original) = self, case .length(let length) = stage, size > 2 else {
            return theta
        }
        let growth = factor * Double(length) / Double(original) - (factor - 1)
        return theta * power(growth, Double(size) / Double(size - 2))
    }

    private static func divide(_ frequencies: [Float], by divisors: [Double]) -> [Float] {
        frequencies.enumerated().map { i, frequency in
            divisors.indices.contains(i) ? frequency / Float(divisors[i]) : frequency
        }
    }

    /// A frequency between those that are kept and those that are divided, of Llama 3.
    private func blended(_ frequency: Float) -> Float {
        guard case .llama3(let factor, let low, let high, let original) = self else { return frequency }
        let wavelength = Float(2 * Double.pi) / frequency
        let length = Double(original)
        if wavelength > Float(length / low) { return frequency / Float(factor) }
        if wavelength < Float(length / high) { return frequency }
        let blend = (Float(length) / wavelength - Float(low)) / Float(high - low)
        return (1 - blend) * frequency / Float(factor) + blend * frequency
    }
}
