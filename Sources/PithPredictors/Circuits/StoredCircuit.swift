import PithCoding
import PithCore

/// A hidden Chow-Liu tree whose parameters are small whole numbers, so that they can be stored in few bytes.
///
/// Decisions are kept as stretched probabilities in steps of half a nat, and only those of states that differ enough
/// from their node to pay; transitions as logarithms in steps of half a bit.
package struct StoredCircuit: Sendable {
    /// The model of the rounded parameters: what encoder and decoder use.
    package private(set) var model: HiddenChowLiuTree
    /// Steps of the nodes' own decisions, [nodes, decisions], and of each state, [nodes, decisions, states].
    private var nodeSteps: [Int8]
    private var stateSteps: [Int8]
    /// Half bits of the first node's states, then [nodes, parent's states, states].
    private var priorSteps: [UInt8]
    private var transitionSteps: [UInt8]

    /// Steps of decisions lie in −22…22: within `Logistic.limit`.
    private static let steepest = 22
    /// The least transition is 2^(−31 / 2).
    private static let longest = 31

    /// Rounds what was learnt.
    package init(_ learner: CircuitLearner) {
        model = learner.model
        let (nodes, decisions, states) = (model.tree.count, model.values.nodeCount, model.states)
        nodeSteps = []
        stateSteps = []
        for node in 0..<nodes {
            for decision in 0..<decisions {
                let usage = (0..<states).map { learner.usage(node, decision, state: $0) }
                let all = usage.reduce((low: Float(0), high: Float(0))) { ($0.low + $1.low, $0.high + $1.high) }
                let own = nearestStep((all.high + 0.4) / (all.low + all.high + 0.8))
                nodeSteps.append(Int8(own))
                for (low, high) in usage {
                    let step = nearestStep((high + 0.4) / (low + high + 0.8))
                    let gain = bits(low: low, high: high, own) - bits(low: low, high: high, step)
                    stateSteps.append(Int8(gain > Self.price ? step : own))
                }
            }
        }
        priorSteps = model.prior.flatMap { vector in (0..<8).map { UInt8(halfBits(vector[$0])) } }
        transitionSteps = model.transitions.flatMap { vector in (0..<8).map { UInt8(halfBits(vector[$0])) } }
        // The first node has no parent; what stands in its place is not stored.
        transitionSteps.replaceSubrange(0..<states * states, with: repeatElement(0, count: states * states))
        apply()
    }

    /// About the bits that a state's own decision takes.
    private static let price: Float = 6

    /// Sets the model's parameters from the whole numbers.
    private mutating func apply() {
        let (states, groups) = (model.states, model.groups)
        for place in model.emissions.indices {
            let (row, group) = (place / groups, place % groups)
            for lane in 0..<8 {
                model.emissions[place][lane] = probability(Int(stateSteps[row * states + 8 * group + lane]))
            }
        }
        var row = [Float](repeating: 0, count: states)
        func normalize(_ steps: ArraySlice<UInt8>) {
            var sum: Float = 0
            for (state, step) in steps.enumerated() {
                row[state] = Float(FixedPoint.powerOfTwo(-Int(step) << 15) >> 8) * 0x1p-24
                sum += row[state]
            }
            for state in 0..<states { row[state] /= sum }
        }
        normalize(priorSteps[...])
        for state in 0..<states { model.prior[state >> 3][state & 7] = row[state] }
        for start in stride(from: 0, to: transitionSteps.count, by: states) {
            normalize(transitionSteps[start..<start + states])
            for state in 0..<states { model.transitions[(start + state) >> 3][state & 7] = row[state] }
        }
        model.exchange()
    }

    /// Writes the whole numbers.
    package func encode(to encoder: inout RangeEncoder) {
        var coder = ParameterModels()
        let states = model.states
        for (place, own) in nodeSteps.enumerated() {
            coder.nodes.encode(Int(own) + 32, to: &encoder)
            for step in stateSteps[place * states..<(place + 1) * states] {
                coder.encodeState(Int(step), own: Int(own), to: &encoder)
            }
        }
        var last = 0
        for step in priorSteps + transitionSteps[(states * states)...] {
            coder.transitions[last >> 2].encode(Int(step), to: &encoder)
            last = Int(step)
        }
    }

    /// Reads what `encode` wrote.
    package init(tree: ChowLiuTree, values: ValueTree, groups: Int, from decoder: inout RangeDecoder) throws(PithError)
    {
        model = HiddenChowLiuTree(tree: tree, values: values, groups: groups)
        var coder = ParameterModels()
        let states = model.states
        (nodeSteps, stateSteps, priorSteps, transitionSteps) = ([], [], [], [])
        for _ in 0..<tree.count * values.nodeCount {
            let own = try coder.nodes.decode(from: &decoder) - 32
            guard abs(own) <= Self.steepest else { throw .invalidStream("a decision of \(own) steps") }
            nodeSteps.append(Int8(own))
            for _ in 0..<states {
                let step = try coder.decodeState(own: own, from: &decoder)
                guard abs(step) <= Self.steepest else { throw .invalidStream("a decision of \(step) steps") }
                stateSteps.append(Int8(step))
            }
        }
        var last = 0
        for _ in 0..<states + (tree.count - 1) * states * states {
            last = try coder.transitions[last >> 2].decode(from: &decoder)
            transitionSteps.append(UInt8(last))
        }
        priorSteps = Array(transitionSteps.prefix(states))
        transitionSteps = [UInt8](repeating: 0, count: states * states) + transitionSteps.dropFirst(states)
        apply()
    }
}

extension StoredCircuit {
    /// The whole model as bytes: values, tree and parameters.
    package func save() -> [UInt8] {
        var encoder = RangeEncoder()
        encoder.encode(bits: UInt32(model.tree.count), count: 13)
        encoder.encode(bits: UInt32(model.groups), count: 4)
        model.values.encode(to: &encoder)
        model.tree.encode(to: &encoder)
        encode(to: &encoder)
        return encoder.finish()
    }

    /// Reads what `save` wrote.
    package static func load(_ bytes: [UInt8]) throws(PithError) -> StoredCircuit {
        var decoder = try RangeDecoder(bytes)
        let (width, groups) = (Int(try decoder.decode(bits: 13)), Int(try decoder.decode(bits: 4)))
        guard RecordShape.widths.contains(width), (1...8).contains(groups) else {
            throw .invalidStream("a circuit of \(width) variables of \(groups) · 8 states")
        }
        let values = try ValueTree(from: &decoder)
        try HiddenChowLiuTree.checkSize(width: width, values, groups: groups)
        let tree = try ChowLiuTree(count: width, from: &decoder)
        return try StoredCircuit(tree: tree, values: values, groups: groups, from: &decoder)
    }
}

/// The adaptive models by which parameters are coded.
private struct ParameterModels {
    var nodes = BitTree(bits: 6)
    var differs = [AdaptiveBit](repeating: AdaptiveBit(), count: 4)
    var states = BitTree(bits: 6)
    var transitions = [BitTree](repeating: BitTree(bits: 5), count: 8)
    private var history = 0

    /// Whether a state differs from its node is foretold by the two before it.
    mutating func encodeState(_ step: Int, own: Int, to encoder: inout RangeEncoder) {
        encoder.encode(step != own, probability: differs[history].probability)
        note(step != own)
        if step != own { states.encode(step + 32, to: &encoder) }
    }

    mutating func decodeState(own: Int, from decoder: inout RangeDecoder) throws(PithError) -> Int {
        let other = try decoder.decode(probability: differs[history].probability)
        note(other)
        return other ? try states.decode(from: &decoder) - 32 : own
    }

    private mutating func note(_ other: Bool) {
        differs[history].update(other)
        history = history << 1 & 3 | (other ? 1 : 0)
    }
}

/// The probability of a decision of so many half nats.
private func probability(_ step: Int) -> Float { Float(Logistic.squash(Int32(128 * step))) * 0x1p-16 }

/// The step whose probability is nearest in the stretched domain.
private func nearestStep(_ probability: Float) -> Int {
    let stretched = Int(Logistic.stretch(UInt32(min(max(probability * 65536, 1), 65535))))
    return min(max((stretched + (stretched < 0 ? -64 : 64)) / 128, -22), 22)
}

/// The code length of so many decisions.
private func bits(low: Float, high: Float, _ step: Int) -> Float {
    let share = UInt64(Logistic.squash(Int32(128 * step)))
    let (up, down) = (16 << 16 - FixedPoint.log2(share), 16 << 16 - FixedPoint.log2(65536 - share))
    return (high * Float(up) + low * Float(down)) / 65536
}

/// −2 · log2 of a probability, rounded.
private func halfBits(_ probability: Float) -> Int {
    let scaled = UInt64(max(probability * 0x1p32, 1))
    return min((2 * (32 << 16 - FixedPoint.log2(scaled)) + 1 << 15) >> 16, 31)
}
