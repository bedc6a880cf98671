/// One way to store a part of a model: what it takes, and what is lost by it.
package struct AllocationChoice: Sendable {
    /// Bytes that it takes.
    package var bytes: Int
    /// What is lost by it; losses of parts are added up.
    package var loss: Double

    package init(bytes: Int, loss: Double) { (self.bytes, self.loss) = (bytes, loss) }
}

/// A choice for each item with the least sum of losses, nearly, whose bytes are within the budget; nil if even the
/// smallest choices are not. The multiple-choice knapsack problem, by its linear relaxation: choices on the lower convex
/// hull of an item are taken in the order of what they gain for a byte, then what is left is filled up.
package func allocate(_ items: [[AllocationChoice]], within budget: Int) -> [Int]? {
    var (chosen, bytes) = ([Int](), 0)
    var steps: [(item: Int, choice: Int, gain: Double)] = []
    for (item, choices) in items.enumerated() {
        let hull = lowerHull(choices)
        guard let smallest = hull.first else { return nil }
        chosen.append(smallest)
        bytes += choices[smallest].bytes
        for (from, to) in zip(hull, hull.dropFirst()) {
            let gain = (choices[from].loss - choices[to].loss) / Double(choices[to].bytes - choices[from].bytes)
            steps.append((item, to, gain))
        }
    }
    guard bytes <= budget else { return nil }
    // An item's gains fall from step to step, so that its steps keep their order.
    steps.sort { ($0.gain, $1.item, $1.choice) > ($1.gain, $0.item, $0.choice) }
    var isFull = [Bool](repeating: false, count: items.count)
    for step in steps where !isFull[step.item] {
        let more = items[step.item][step.choice].bytes - items[step.item][chosen[step.item]].bytes
        if bytes + more <= budget {
            (chosen[step.item], bytes) = (step.choice, bytes + more)
        } else {
            isFull[step.item] = true
        }
    }
    while let better = bestFill(items, chosen, left: budget - bytes) {
        bytes += items[better.item][better.choice].bytes - items[better.item][chosen[better.item]].bytes
        chosen[better.item] = better.choice
    }
    return chosen
}

/// The change of one choice that gains the most for a byte of all that fit into what is left; nil if none loses less.
private func bestFill(
    _ items: [[AllocationChoice]], _ chosen: [Int], left: Int
) -> (item: Int, choice: Int)? {
    var best: (item: Int, choice: Int, gain: Double)?
    for (item, choices) in items.enumerated() {
        let now = choices[chosen[item]]
        for (index, choice) in choices.enumerated() where choice.bytes - now.bytes <= left && choice.loss < now.loss {
            let gain = (now.loss - choice.loss) / Double(max(1, choice.bytes - now.bytes))
            if gain > best?.gain ?? 0 { best = (item, index, gain) }
        }
    }
    return best.map { ($0.item, $0.choice) }
}

/// The choices on the lower convex hull of bytes and losses, from the smallest to the one that loses least.
private func lowerHull(_ choices: [AllocationChoice]) -> [Int] {
    let order = choices.indices.sorted {
        (choices[$0].bytes, choices[$0].loss, $0) < (choices[$1].bytes, choices[$1].loss, $1)
    }
    var hull: [Int] = []
    for index in order {
        let choice = choices[index]
        if let last = hull.last, choices[last].loss <= choice.loss { continue }
        func slope(_ from: Int) -> Double {
            (choice.loss - choices[from].loss) / Double(choice.bytes - choices[from].bytes)
        }
        while hull.count >= 2, let last = hull.last, slope(last) <= slope(hull[hull.count - 2]) { hull.removeLast() }
        hull.append(index)
    }
    return hull
}
