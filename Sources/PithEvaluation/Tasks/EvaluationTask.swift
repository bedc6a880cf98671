import PithCore
import PithModels

/// Something that models are measured on, with data of its own.
///
/// A task is one file here and one line in `EvaluationTasks.all`.
public protocol EvaluationTask: Sendable {
    /// What it is called.
    static var name: String { get }
    /// What is measured, and which files its data are, in a sentence.
    static var abstract: String { get }

    /// Reads the data in `folder`.
    init(folder: String) throws(PithError)

    /// Measures a model that was opened from `source`.
    func measure(_ model: LanguageModel, from source: ModelSource, quiet: Bool) throws(PithError) -> TaskReport
}

/// What a task found.
public struct TaskReport: Sendable {
    /// A figure by its name for programs and for people.
    public struct Figure: Sendable {
        /// The key in JSON.
        public let key: String
        /// What people read.
        public let name: String
        /// The figure and its standard error.
        public let estimate: Estimate
    }

    /// The figures, the most important first.
    public var figures: [Figure]
    /// What was measured on, counted: `pairs`.
    public var items: (count: Int, name: String)
    /// What else should be known, a sentence each.
    public var notes: [String] = []
}

/// The tasks that Pith knows.
public enum EvaluationTasks {
    /// One line for each.
    public static let all: [any EvaluationTask.Type] = [
        SemanticSimilarity.self
    ]

    /// The task of a name.
    public static func named(_ name: String) throws(PithError) -> any EvaluationTask.Type {
        guard let task = all.first(where: { $0.name == name }) else {
            throw .usage(
                "there is no task '\(name.shortened)'",
                remedy: "known are \(all.map { $0.name }.joined(separator: ", "))")
        }
        return task
    }
}
