import ArgumentParser
import Pith

/// Options of `pith eval --task`.
struct TaskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A task to measure on instead of a text.",
            discussion: EvaluationTasks.all.map { "\($0.name): \($0.abstract)." }.joined(separator: " "),
            valueName: "name"))
    var task: String?

    @Option(help: "The folder with the task's data.")
    var data: String?

    func validate() throws {
        if task == nil, data != nil { throw ValidationError("--data is of a task: give one with --task.") }
        if task != nil, data == nil { throw ValidationError("--task needs its data: give a folder with --data.") }
    }
}

extension TaskReport {
    /// Prints a table for people.
    func printTable() {
        let rows = figures.map {
            [
                $0.name, $0.estimate.value.formatted(decimals: 4),
                "±\($0.estimate.standardError.formatted(significant: 2))",
            ]
        }
        print("\(items.count) \(items.name)")
        print(TextTable(header: ["figure", "value", "error"], rows: rows).text)
        for note in notes { print(note) }
    }

    /// The report for programs.
    func json(task: String) -> JSONValue {
        var object = JSONObject()
        object["task"] = .string(task)
        object[items.name] = .integer(items.count)
        for figure in figures {
            object[figure.key] = .real(figure.estimate.value)
            object[figure.key + "Error"] =
                figure.estimate.standardError.isFinite ? .real(figure.estimate.standardError) : .null
        }
        object["notes"] = .array(notes.map { .string($0) })
        return .object(object)
    }
}
