import PithCore
import PithTensor

/// What each of some specs would cost each matrix of a model, from which follows what to do within a budget.
public struct Allocation: Sendable {
    /// A spec and what becomes of a matrix by it.
    public struct Choice: Sendable {
        /// What is done.
        public var spec: Spec
        /// Bytes of the stored matrix, from a sample of it.
        public var bytes: Int
        /// The squared error of the outputs as a share of their square, on the calibration text, from a sample of rows.
        public var error: Double
    }

    /// A matrix or table.
    public struct Part: Sendable {
        /// Its name in a folder.
        public var name: String
        /// By how many nats for each token the model's distribution moves with the error of this matrix, as measured with
        /// a small random one.
        public var sensitivity: Double
        /// What can be done.
        public var choices: [Choice]

        /// Nats that a choice is expected to cost.
        public func loss(_ choice: Choice) -> Double { sensitivity * choice.error }
    }

    /// The matrices and tables, in the order of the model.
    public var parts: [Part]
    /// Rules of what stays as it came, which stand in front of all others.
    public var ignored: [Recipe.Rule]
    /// Bytes of all else.
    public var otherBytes: Int

    /// The recipe with the least expected loss whose folder has at most so many bytes. Throws, with the least that would
    /// do, where there is none.
    public func recipe(within budget: Int) throws(PithError) -> (recipe: Recipe, bytes: Int, loss: Double) {
        let items = parts.map { part in
            part.choices.map { AllocationChoice(bytes: $0.bytes, loss: part.loss($0)) }
        }
        guard let chosen = allocate(items, within: budget - otherBytes) else {
            let least = items.reduce(otherBytes) { $0 + ($1.map(\.bytes).min() ?? 0) }
            throw .usage(
                "with these specs the model needs at least \(ByteCount(least))", at: "--budget",
                remedy: "\(ByteCount(budget)) are allowed; specs of fewer bits would do")
        }
        var (recipe, bytes, loss) = (Recipe(rules: ignored), otherBytes, 0.0)
        for (part, index) in zip(parts, chosen) {
            let choice = part.choices[index]
            recipe.rules.append(.init(part.name, choice.spec))
            bytes += choice.bytes
            loss += part.loss(choice)
        }
        return (recipe, bytes, loss)
    }
}
