import PithCore

/// A hidden Chow-Liu tree: each variable of a record hangs at a hidden categorical node, and the hidden nodes form the
/// Chow-Liu tree of the variables. ("Lossless Compression with Probabilistic Circuits", Liu, Mandt and Van den Broeck.)
///
/// As a circuit every hidden node is a layer of sum units, one for each state, over products of its value's
/// distribution and its children's sums.
package struct HiddenChowLiuTree: Sendable, Equatable {
    /// The tree of the hidden nodes.
    package let tree: ChowLiuTree
    /// The decisions that a value is made of.
    package let values: ValueTree
    /// States of a hidden node in vectors of 8.
    package let groups: Int

    /// The distribution of the first node's state, [groups].
    package var prior: [StateVector]
    /// p(state of a node | state of its parent), [nodes, parent's states, groups]; nothing of use for the first node.
    package var transitions: [StateVector]
    /// The same with the two sides exchanged, [nodes, states, parent's groups].
    package var exchanged: [StateVector]
    /// p(the upper side | state) for the decisions about a node's value, [nodes, decisions, groups].
    package var emissions: [StateVector]

    /// States of a hidden node.
    package var states: Int { 8 * groups }
    /// Vectors of a node in `transitions`.
    package var transitionSize: Int { states * groups }
    /// Vectors of a node in `emissions`.
    package var emissionSize: Int { values.nodeCount * groups }

    /// A tree whose distributions are all even.
    package init(tree: ChowLiuTree, values: ValueTree, groups: Int) {
        (self.tree, self.values, self.groups) = (tree, values, groups)
        let even = StateVector(repeating: 1 / Float(8 * groups))
        prior = [StateVector](repeating: even, count: groups)
        transitions = [StateVector](repeating: even, count: tree.count * 8 * groups * groups)
        exchanged = transitions
        emissions = [StateVector](
            repeating: StateVector(repeating: 0.5), count: tree.count * values.nodeCount * groups)
    }

    /// Parameters of a model at most.
    package static let parameterLimit = 1 << 24

    /// Refuses models that would take too much memory.
    package static func checkSize(width: Int, _ values: ValueTree, groups: Int) throws(PithError) {
        let parameters = width * 8 * groups * (8 * groups + values.nodeCount)
        guard parameters <= parameterLimit else {
            throw .usage(
                "a circuit of \(parameters) parameters", remedy: "at most \(parameterLimit): fewer latents, less width")
        }
    }

    /// About the bytes of a tree's parameters and of what learning them needs.
    package static func memory(width: Int, symbols: Int, states: Int) -> Int {
        width * states * 4 * (4 * states + 4 * symbols)
    }

    /// Room for one pass.
    package func workspace() -> CircuitWorkspace { CircuitWorkspace(size: tree.count * groups) }

    /// Goes over one record in the order of coding and asks or tells `port` each decision with its probability.
    ///
    /// Every conditional p(xᵢ | x₁ … xᵢ₋₁) comes from two products of a vector and a matrix a node: one down, from the
    /// parent's belief when the node is reached, and one up, when its subtree is done. Nodes are in depth-first order,
    /// so between these nothing else changes what is known of the node. A record costs 2 · D · states² multiplications
    /// and those of its decisions: linear in D, as much as evaluating its likelihood and once more.
    @inline(__always)
    package func visit<Port: DecisionPort>(
        _ work: CircuitWorkspace, _ port: inout Port
    ) throws(Port.Failure) {
        let (evidence, belief, message) = (work.evidence, work.belief, work.message)
        var failure: Port.Failure?
        // Typed errors do not pass through closures over pointers; the first one ends the pass.
        transitions.withUnsafeBufferPointer { transitions in
            exchanged.withUnsafeBufferPointer { exchanged in
                emissions.withUnsafeBufferPointer { emissions in
                    tree.parents.withUnsafeBufferPointer { parents in
                        var open = -1
                        for node in parents.indices {
                            let parent = parents[node]
                            // Subtrees that end before this node report to their parents.
                            while open != parent {
                                report(open, to: parents[open], work, exchanged.baseAddress!)
                                open = parents[open]
                            }
                            open = node
                            let here = node * groups
                            if parent < 0 {
                                for group in 0..<groups { message[here + group] = prior[group] }
                            } else {
                                multiply(
                                    belief + parent * groups, transitions.baseAddress! + node * transitionSize,
                                    groups: groups, into: message + here)
                            }
                            for group in 0..<groups { belief[here + group] = message[here + group] }
                            do throws(Port.Failure) {
                                try decide(node, belief + here, emissions, &port)
                            } catch {
                                failure = error
                                return
                            }
                            for group in 0..<groups {
                                evidence[here + group] = belief[here + group] / message[here + group]
                            }
                        }
                        while open > 0 {
                            report(open, to: parents[open], work, exchanged.baseAddress!)
                            open = parents[open]
                        }
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    /// The decisions about one value; `belief`, [groups], follows them by Bayes' rule.
    @inline(__always)
    private func decide<Port: DecisionPort>(
        _ node: Int, _ belief: UnsafeMutablePointer<StateVector>, _ emissions: UnsafeBufferPointer<StateVector>,
        _ port: inout Port
    ) throws(Port.Failure) {
        port.begin(tree.variables[node])
        guard values.nodeCount > 0 else { return port.end(Int(values.symbols[0])) }
        let base = node * emissionSize
        var decision = 0
        repeat {
            let upper = emissions.baseAddress! + base + decision * groups
            var (high, low) = (belief[0] * upper[0], belief[0] * (1 - upper[0]))
            for group in 1..<groups {
                high += belief[group] * upper[group]
                low += belief[group] * (1 - upper[group])
            }
            // Both sides are summed: what rounding adds to a belief would otherwise grow from decision to decision.
            let (above, below) = (high.total, low.total)
            let bit = try port.decide(above / (above + below))
            if bit {
                let scale = 1 / above
                for group in 0..<groups { belief[group] *= upper[group] * scale }
            } else {
                let scale = 1 / below
                for group in 0..<groups { belief[group] *= (1 - upper[group]) * scale }
            }
            decision = values.children[2 * decision + (bit ? 1 : 0)]
        } while decision > 0
        port.end(-1 - decision)
    }

    /// A finished subtree tells its parent how likely it is for each of the parent's states.
    @inline(__always)
    private func report(
        _ node: Int, to parent: Int, _ work: CircuitWorkspace, _ exchanged: UnsafePointer<StateVector>
    ) {
        let (message, belief) = (work.message + node * groups, work.belief + parent * groups)
        let evidence = work.evidence + parent * groups
        multiply(work.evidence + node * groups, exchanged + node * transitionSize, groups: groups, into: message)
        var sum = message[0] * belief[0]
        for group in 1..<groups { sum += message[group] * belief[group] }
        let scale = 1 / sum.total
        for group in 0..<groups {
            message[group] *= scale
            belief[group] *= message[group]
            evidence[group] *= message[group]
        }
    }
}

/// What a pass over a record does with its decisions: tell them, ask them, or take note.
package protocol DecisionPort {
    associatedtype Failure: Error
    /// The decisions that follow are about the value of `variable`.
    mutating func begin(_ variable: Int)
    /// The next decision, which is true with `probability`.
    mutating func decide(_ probability: Float) throws(Failure) -> Bool
    /// The decisions have led to `value`.
    mutating func end(_ value: Int)
}

/// Shows a pass a known record.
struct KnownRecord: DecisionPort {
    typealias Failure = Never

    private let record: UnsafePointer<UInt8>
    private let values: ValueTree
    private var step = 0

    init(_ record: UnsafePointer<UInt8>, _ values: ValueTree) {
        (self.record, self.values) = (record, values)
    }

    @inline(__always)
    mutating func begin(_ variable: Int) { step = values.stepStarts[Int(record[variable])] }

    @inline(__always)
    mutating func decide(_ probability: Float) -> Bool {
        defer { step += 1 }
        return values.steps[step] & 1 == 1
    }

    func end(_ value: Int) {}
}
