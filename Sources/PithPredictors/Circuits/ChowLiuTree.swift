import PithCoding
import PithCore

/// A tree over the variables of a record that joins those which tell most about each other (Chow and Liu, 1968).
///
/// Nodes are numbered in the order of coding, depth first: a node's subtree is the run of nodes behind it, so what is
/// known of a node changes only by its own value and by whole subtrees of its children.
package struct ChowLiuTree: Sendable, Equatable {
    /// The variable (place in the record) of each node.
    package let variables: [Int]
    /// The node above each node; −1 for the first.
    package let parents: [Int]

    /// Nodes, which are as many as variables.
    package var count: Int { variables.count }

    /// A tree in which the variable v hangs below `above[v]`, and one, the root, below itself; nil if that is none.
    package init?(above: [Int]) {
        let roots = above.indices.filter { above[$0] == $0 }
        guard roots.count == 1 else { return nil }
        var children = [[Int]](repeating: [], count: above.count)
        for variable in above.indices.reversed() where variable != roots[0] {
            children[above[variable]].append(variable)
        }
        var (variables, parents, open) = ([Int](), [Int](), [(variable: roots[0], parent: -1)])
        while let (variable, parent) = open.popLast() {
            for child in children[variable] { open.append((child, variables.count)) }
            variables.append(variable)
            parents.append(parent)
        }
        // What hangs in a ring is never reached.
        guard variables.count == above.count else { return nil }
        (self.variables, self.parents) = (variables, parents)
    }

    /// The maximum spanning tree of pairwise mutual information (Prim), measured on a sample of the records.
    package init(learning records: Records, _ pool: ThreadPool) {
        let sample = BinnedSample(records)
        let width = records.width
        var above = [Int](repeating: 0, count: width)
        var best = [Double](repeating: -1, count: width)
        var joined = [Bool](repeating: false, count: width)
        var last = 0
        joined[0] = true
        for _ in 1..<max(1, width) {
            // The variable that came last is compared with all that are still outside: each pair once.
            let information = pool.map(width, grain: 64) { [joined, last] other in
                joined[other] ? 0 : sample.mutualInformation(last, other)
            }
            var next = -1
            for other in 0..<width where !joined[other] {
                if information[other] > best[other] { (best[other], above[other]) = (information[other], last) }
                if next < 0 || best[other] > best[next] { next = other }
            }
            joined[next] = true
            last = next
        }
        self.init(above: above)!
    }

    /// Writes how far to the side each variable's parent lies.
    package func encode(to encoder: inout RangeEncoder) {
        var above = variables
        for (node, parent) in parents.enumerated() { above[variables[node]] = variables[max(0, parent)] }
        var model = AdaptiveFrequencies(symbolCount: count, increment: 32)
        for (variable, parent) in above.enumerated() {
            model.encode((parent - variable + count) % count, to: &encoder)
        }
    }

    /// Reads a tree of `count` nodes.
    package init(count: Int, from decoder: inout RangeDecoder) throws(PithError) {
        var (model, above) = (AdaptiveFrequencies(symbolCount: count, increment: 32), [Int]())
        for variable in 0..<count { above.append((variable + (try model.decode(from: &decoder))) % count) }
        guard let tree = Self(above: above) else { throw .invalidStream("the variables form no tree") }
        self = tree
    }
}

/// The records as sets: for each variable and each of a few bins of its values, in which records of a sample it lies.
private struct BinnedSample {
    /// The largest number of bins of a variable, and of 64-bit words of records.
    private let (binLimit, words): (Int, Int)
    /// [variables, bins, words].
    private var members: [UInt64]
    private var binCounts: [Int] = []
    private let sampleCount: Int
    /// n · log2 n for n up to the size of the sample.
    private let entropies: [Double]

    init(_ records: Records) {
        // Pairs are many when records are wide: fewer bins and records keep the work in bounds.
        let width = records.width
        binLimit = width <= 1024 ? 6 : 4
        sampleCount = min(records.count, width <= 1024 ? 4096 : 1024)
        words = (sampleCount + 63) / 64
        members = [UInt64](repeating: 0, count: width * binLimit * words)
        entropies = (0...sampleCount).map { n in
            n == 0 ? 0 : Double(n) * Double(FixedPoint.log2(UInt64(n))) / 65536
        }
        for variable in 0..<width {
            let values = (0..<sampleCount).map { records.value($0 * records.count / sampleCount, variable) }
            let bins = binned(values, limit: binLimit)
            for (record, value) in values.enumerated() {
                members[(variable * binLimit + bins[Int(value)]) * words + record >> 6] |= 1 << UInt64(record & 63)
            }
            binCounts.append((bins.max() ?? 0) + 1)
        }
    }

    /// n times the mutual information, in bits: what two variables tell about each other, over the sample.
    func mutualInformation(_ a: Int, _ b: Int) -> Double {
        guard binCounts[a] > 1, binCounts[b] > 1 else { return 0 }
        var sum = entropies[sampleCount]
        return members.withUnsafeBufferPointer { members in
            var columns = [Int](repeating: 0, count: binCounts[b])
            for i in 0..<binCounts[a] {
                var row = 0
                for j in 0..<binCounts[b] {
                    let (x, y) = ((a * binLimit + i) * words, (b * binLimit + j) * words)
                    var both = 0
                    for word in 0..<words { both += (members[x + word] & members[y + word]).nonzeroBitCount }
                    sum += entropies[both]
                    row += both
                    columns[j] += both
                }
                sum -= entropies[row]
            }
            for column in columns { sum -= entropies[column] }
            return sum
        }
    }
}

/// The bin of each byte value, [256]: the upper part of a tree that splits occurrences evenly.
private func binned(_ values: [UInt8], limit: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: 256)
    for value in values { counts[Int(value)] += 1 }
    var bins = [counts.indices.lowerBound..<256]
    while bins.count < limit {
        // The bin with most occurrences of more than one value is split.
        let heavy = bins.indices.filter { bins[$0].count { counts[$0] > 0 } > 1 }
            .max { bins[$0].reduce(0) { $0 + counts[$1] } < bins[$1].reduce(0) { $0 + counts[$1] } }
        guard let heavy else { break }
        let range = bins[heavy]
        let total = range.reduce(0) { $0 + counts[$1] }
        var (below, best) = (0, (difference: Int.max, at: range.lowerBound + 1))
        for at in range.dropLast() {
            below += counts[at]
            if below > 0, below < total, abs(total - 2 * below) < best.difference {
                best = (abs(total - 2 * below), at + 1)
            }
        }
        bins[heavy] = range.lowerBound..<best.at
        bins.append(best.at..<range.upperBound)
    }
    var result = [Int](repeating: 0, count: 256)
    for (bin, range) in bins.enumerated() { for value in range { result[value] = bin } }
    return result
}
