import PithCore
import PithTensor

/// Expectation maximisation over small batches of records.
///
/// A batch's expected counts are added to those of the batches before, whose weight fades over as many records as the
/// population has; after each batch the parameters become the smoothed ratios of counts. The same learner trains a
/// model that is stored and one that encoder and decoder learn side by side.
package struct CircuitLearner {
    /// The model with the newest parameters.
    package private(set) var model: HiddenChowLiuTree
    /// Expected counts: of states, [groups]; of pairs of states and of decisions, like the model's parameters.
    private var stateCounts: [StateVector]
    private var pairCounts: [StateVector]
    /// [nodes, decisions, 2, groups].
    private var decisionCounts: [StateVector]
    /// How often decisions went either way, whatever the state: at each node, [nodes, decisions, 2], and at all.
    private var nodeTallies: [Float]
    private var tallies: [Float]
    /// The weight of the next record, and the sum of all weights.
    private var weight: Float = 1
    private var totalWeight: Float = 0
    private var population: Float = 0
    private let smoothing: Smoothing
    private var batch: ExpectationBatch

    /// Counts that stand for what is not known yet.
    package struct Smoothing {
        /// Of an even distribution over a node's states.
        var transitions: Float = 0.2
        /// Of a node's own distribution in that of each state.
        var states: Float = 3
        /// Of the whole population's distribution in that of a node.
        var nodes: Float = 25
    }

    /// Records that are learnt together at most.
    package static let batchLimit = 64

    /// A learner that begins with `model`, with random parameters that make its states differ.
    package init(_ model: HiddenChowLiuTree, seed: UInt64, smoothing: Smoothing = Smoothing()) {
        self.model = model
        self.smoothing = smoothing
        let (nodes, groups) = (model.tree.count, model.groups)
        stateCounts = [StateVector](repeating: .zero, count: groups)
        pairCounts = [StateVector](repeating: .zero, count: model.transitions.count)
        decisionCounts = [StateVector](repeating: .zero, count: 2 * model.emissions.count)
        nodeTallies = [Float](repeating: 0, count: nodes * model.values.nodeCount * 2)
        tallies = [Float](repeating: 0, count: model.values.nodeCount * 2)
        batch = ExpectationBatch(size: nodes * groups)
        self.model.randomize(seed: seed)
    }

    /// Notes how often the values of new records occur: what the distributions of states are smoothed with.
    package mutating func note(_ records: Records) {
        let (tree, values) = (model.tree, model.values)
        for record in 0..<records.count {
            for node in 0..<tree.count {
                let value = Int(records.value(record, tree.variables[node]))
                for step in values.stepStarts[value]..<values.stepStarts[value + 1] {
                    let place = Int(values.steps[step])
                    nodeTallies[node * values.nodeCount * 2 + place] += 1
                    tallies[place] += 1
                }
            }
        }
    }

    /// One step of EM on at most `batchLimit` records out of a population of `population`.
    package mutating func learn(_ records: Records, population: Int, _ pool: ThreadPool) {
        guard records.count > 0 else { return }
        batch.expect(model, records, pool)
        let weight = weight
        totalWeight += weight * Float(records.count)
        self.population = Float(population)
        let scale = Float(population) / totalWeight
        learnStates(records.count, weight: weight, scale: scale)
        learnNodes(records, weight: weight, scale: scale, pool)
        // Newer records count more, so that old counts, taken with worse parameters, fade.
        self.weight *= 1 + Float(records.count) / Float(population)
        if self.weight > 0x1p20 { fade(by: 0x1p-20) }
    }

    /// How often a state decided either way about its value, as expected in the population.
    package func usage(_ node: Int, _ decision: Int, state: Int) -> (low: Float, high: Float) {
        let place = 2 * (node * model.values.nodeCount + decision) * model.groups + state >> 3
        let scale = totalWeight > 0 ? population / totalWeight : 0
        return (scale * decisionCounts[place][state & 7], scale * decisionCounts[place + model.groups][state & 7])
    }

    /// All counts and weights become smaller by the same factor.
    private mutating func fade(by factor: Float) {
        weight *= factor
        totalWeight *= factor
        for place in stateCounts.indices { stateCounts[place] *= factor }
        for place in pairCounts.indices { pairCounts[place] *= factor }
        for place in decisionCounts.indices { decisionCounts[place] *= factor }
    }

    private mutating func learnStates(_ count: Int, weight: Float, scale: Float) {
        let groups = model.groups
        var sum: Float = 0
        for group in 0..<groups {
            for record in 0..<count { stateCounts[group] += weight * batch.posterior(record, 0)[group] }
            model.prior[group] = scale * stateCounts[group] + smoothing.transitions / Float(model.states)
            sum += model.prior[group].total
        }
        for group in 0..<groups { model.prior[group] /= sum }
    }

    private mutating func learnNodes(_ records: Records, weight: Float, scale: Float, _ pool: ThreadPool) {
        let step = NodeStep(
            tree: model.tree, values: model.values, groups: model.groups, batch: batch, records: records,
            weight: weight, scale: scale, smoothing: smoothing,
            general: stride(from: 0, to: tallies.count, by: 2).map {
                (tallies[$0 + 1] + 0.5) / (tallies[$0] + tallies[$0 + 1] + 1)
            })
        pairCounts.withUnsafeMutableBufferPointer { pairs in
            model.transitions.withUnsafeMutableBufferPointer { transitions in
                model.exchanged.withUnsafeMutableBufferPointer { exchanged in
                    pool.forEachBlock(
                        of: step.tree.count, grain: 4, sharing: pairs, transitions, exchanged
                    ) { nodes, pairs, transitions, exchanged in
                        for node in nodes where node > 0 {
                            let place = node * step.groups * step.groups * 8
                            step.learnTransitions(
                                node, pairs.baseAddress! + place, transitions.baseAddress! + place,
                                exchanged.baseAddress! + place)
                        }
                    }
                }
            }
        }
        guard model.values.nodeCount > 0 else { return }
        decisionCounts.withUnsafeMutableBufferPointer { counts in
            model.emissions.withUnsafeMutableBufferPointer { emissions in
                nodeTallies.withUnsafeBufferPointer { tallies in
                    pool.forEachBlock(
                        of: step.tree.count, grain: 4, sharing: counts, emissions, tallies
                    ) { nodes, counts, emissions, tallies in
                        for node in nodes {
                            let place = node * step.values.nodeCount
                            step.learnEmissions(
                                node, tallies.baseAddress! + 2 * place, counts.baseAddress! + 2 * place * step.groups,
                                emissions.baseAddress! + place * step.groups)
                        }
                    }
                }
            }
        }
    }
}

/// One step of EM for one node: counts are added up over the batch, and parameters follow.
private struct NodeStep {
    let tree: ChowLiuTree
    let values: ValueTree
    let groups: Int
    let batch: ExpectationBatch
    let records: Records
    let weight: Float
    let scale: Float
    let smoothing: CircuitLearner.Smoothing
    /// p(the upper side) of each decision over all nodes.
    let general: [Float]

    /// `counts`, `transitions` are [parent's states, groups], `exchanged` is [states, parent's groups].
    func learnTransitions(
        _ node: Int, _ counts: UnsafeMutablePointer<StateVector>, _ transitions: UnsafeMutablePointer<StateVector>,
        _ exchanged: UnsafeMutablePointer<StateVector>
    ) {
        let states = 8 * groups
        let turned = UnsafeMutableRawPointer(exchanged).assumingMemoryBound(to: Float.self)
        for parent in 0..<states {
            // E[n(parent's state, state)] = p(state | parent's) · Σ over records of demand(parent's) · evidence(state).
            let row = parent * groups
            var sum: Float = 0
            for group in 0..<groups {
                var outer = StateVector.zero
                for record in 0..<records.count {
                    outer += batch.demand(record, node)[parent >> 3][parent & 7] * batch.evidence(record, node)[group]
                }
                counts[row + group] += weight * outer * transitions[row + group]
                transitions[row + group] = scale * counts[row + group] + smoothing.transitions / Float(states)
                sum += transitions[row + group].total
            }
            for group in 0..<groups {
                transitions[row + group] /= sum
                for lane in 0..<8 { turned[(8 * group + lane) * states + parent] = transitions[row + group][lane] }
            }
        }
    }

    /// `tallies` is [decisions, 2], `counts` [decisions, 2, groups], `emissions` [decisions, groups].
    func learnEmissions(
        _ node: Int, _ tallies: UnsafePointer<Float>, _ counts: UnsafeMutablePointer<StateVector>,
        _ emissions: UnsafeMutablePointer<StateVector>
    ) {
        let variable = tree.variables[node]
        for record in 0..<records.count {
            let (value, posterior) = (Int(records.value(record, variable)), batch.posterior(record, node))
            for step in values.stepStarts[value]..<values.stepStarts[value + 1] {
                let place = counts + Int(values.steps[step]) * groups
                for group in 0..<groups { place[group] += weight * posterior[group] }
            }
        }
        for decision in 0..<values.nodeCount {
            // From the population to the node to the state.
            let (lower, upper) = (tallies[2 * decision], tallies[2 * decision + 1])
            let own = (upper + smoothing.nodes * general[decision]) / (lower + upper + smoothing.nodes)
            let place = counts + 2 * decision * groups
            for group in 0..<groups {
                let high = scale * place[groups + group]
                let all = scale * place[group] + high + smoothing.states
                let ratio = (high + smoothing.states * own) / all
                emissions[decision * groups + group] = ratio.clamped(
                    lowerBound: StateVector(repeating: 0x1p-15), upperBound: StateVector(repeating: 1 - 0x1p-15))
            }
        }
    }
}

/// What is expected of the hidden states, given whole records and the model: three vectors for each record and node.
final class ExpectationBatch: @unchecked Sendable {
    private let size: Int
    private var storage: UnsafeMutablePointer<StateVector>
    private var capacity = 0
    private var groups = 0

    /// Room for passes over `size` vectors; it grows to the largest batch.
    init(size: Int) {
        self.size = size
        storage = .allocate(capacity: 1)
    }

    deinit { storage.deallocate() }

    /// p(state of a node | record).
    @inline(__always)
    func posterior(_ record: Int, _ node: Int) -> UnsafeMutablePointer<StateVector> {
        storage + 3 * record * size + node * groups
    }
    /// p(parent's state | record) over what the node's subtree has told it, scaled to the evidence.
    @inline(__always)
    func demand(_ record: Int, _ node: Int) -> UnsafeMutablePointer<StateVector> {
        storage + (3 * record + 1) * size + node * groups
    }
    /// p(the subtree's values | state), up to a factor.
    @inline(__always)
    func evidence(_ record: Int, _ node: Int) -> UnsafeMutablePointer<StateVector> {
        storage + (3 * record + 2) * size + node * groups
    }

    /// The E-step: up as in coding, then down from the first node.
    func expect(_ model: HiddenChowLiuTree, _ records: Records, _ pool: ThreadPool) {
        precondition(records.count <= CircuitLearner.batchLimit, "\(records.count) records in a batch")
        groups = model.groups
        if records.count > capacity {
            capacity = records.count
            storage.deallocate()
            storage = .allocate(capacity: 3 * size * capacity)
            storage.initialize(repeating: .zero, count: 3 * size * capacity)
        }
        records.bytes.withUnsafeBufferPointer { bytes in
            pool.forEachBlock(of: records.count, grain: 1, sharing: bytes) { range, bytes in
                let work = model.workspace()
                for record in range {
                    var port = KnownRecord(bytes.baseAddress! + record * records.width, model.values)
                    model.visit(work, &port)
                    expect(model, work, record)
                }
            }
        }
    }

    private func expect(_ model: HiddenChowLiuTree, _ work: CircuitWorkspace, _ record: Int) {
        let (root, states) = (posterior(record, 0), model.groups * 8)
        for group in 0..<groups { root[group] = work.belief[group] }
        for node in 1..<max(1, model.tree.count) {
            let (above, here) = (posterior(record, model.tree.parents[node]), posterior(record, node))
            let (demand, evidence) = (demand(record, node), evidence(record, node))
            for group in 0..<groups {
                evidence[group] = work.evidence[node * groups + group]
                demand[group] = above[group] / work.message[node * groups + group]
            }
            model.transitions.withUnsafeBufferPointer {
                multiply(demand, $0.baseAddress! + node * states * groups, groups: groups, into: here)
            }
            var sum: Float = 0
            for group in 0..<groups {
                here[group] *= evidence[group]
                sum += here[group].total
            }
            for group in 0..<groups {
                here[group] /= sum
                demand[group] /= sum
            }
        }
    }
}

extension HiddenChowLiuTree {
    /// Learns all records `epochs` times, after a first time, in small batches that run through the records in order.
    package static func train(
        _ model: HiddenChowLiuTree, on records: Records, epochs: Int, seed: UInt64, _ pool: ThreadPool
    ) -> CircuitLearner {
        var learner = CircuitLearner(model, seed: seed)
        learner.note(records)
        for _ in 0...epochs {
            for start in stride(from: 0, to: records.count, by: CircuitLearner.batchLimit) {
                let end = min(start + CircuitLearner.batchLimit, records.count)
                learner.learn(records[start..<end], population: records.count, pool)
            }
        }
        return learner
    }

    /// Parameters at random, so that states can become different.
    package mutating func randomize(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func vector() -> StateVector {
            var result = StateVector.zero
            for lane in 0..<8 { result[lane] = random.uniform() }
            return result
        }
        for place in emissions.indices { emissions[place] = 0.25 + 0.5 * vector() }
        // A node begins mostly in its parent's state, so that a state soon stands for something wider than a node.
        for row in stride(from: 0, to: transitions.count, by: groups) {
            var sum: Float = 0
            let state = row / groups % states
            for place in row..<row + groups {
                let chance = vector()
                transitions[place] = 0.05 + chance * chance
                if state >> 3 == place - row { transitions[place][state & 7] += 100 }
                sum += transitions[place].total
            }
            for place in row..<row + groups { transitions[place] /= sum }
        }
        exchange()
    }

    /// Makes `exchanged` follow `transitions`.
    package mutating func exchange() {
        for node in 0..<tree.count {
            let base = node * transitionSize
            for parent in 0..<states {
                for state in 0..<states {
                    exchanged[base + state * groups + parent >> 3][parent & 7] =
                        transitions[base + parent * groups + state >> 3][state & 7]
                }
            }
        }
    }
}
