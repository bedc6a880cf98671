import ArgumentParser
import Pith

/// Lists the methods, or shows one.
struct MethodsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "methods", abstract: "List the methods, or show the options of one.")

    @Argument(help: "The method to show.")
    var method: String?

    @Flag(help: "Print the catalogue as JSON.")
    var json = false

    func run() throws {
        var entries = WeightCatalogue.all.map { $0.entry }
        if let method {
            entries = entries.filter { $0.identifier == method }
            guard !entries.isEmpty else {
                let known = WeightCatalogue.all.map { $0.entry.identifier }.joined(separator: ", ")
                throw PithError.usage("unknown method '\(method)'", remedy: "there are \(known)")
            }
        }
        if json {
            printJSON(.array(entries.map(Self.json)))
        } else if method != nil, let entry = entries.first {
            show(entry)
        } else {
            let rows = entries.map { [$0.identifier, $0.paper.map { "\($0.year)" } ?? "", $0.summary] }
            print(TextTable(header: ["method", "year", "what it does"], rows: rows, leftAligned: [0, 1, 2]).text)
            print("'pith methods NAME' shows the options of one.")
        }
    }

    private func show(_ entry: MethodEntry) {
        print("\(entry.identifier): \(entry.summary)")
        if let paper = entry.paper { print("\(paper.title) (\(paper.year))") }
        guard !entry.options.isEmpty else { return }
        let rows = entry.options.map { [$0.name, $0.defaultValue, $0.range, $0.help] }
        print("")
        print(
            TextTable(header: ["option", "default", "permitted", "meaning"], rows: rows, leftAligned: [0, 1, 2, 3]).text
        )
    }

    private static func json(_ entry: MethodEntry) -> JSONValue {
        var object = JSONObject()
        object["identifier"] = .string(entry.identifier)
        object["summary"] = .string(entry.summary)
        object["paper"] = entry.paper.map {
            var paper: JSONValue = ["title": .string($0.title), "year": .integer($0.year)]
            if let identifier = $0.identifier, case .object(var members) = paper {
                members["identifier"] = .string(identifier)
                paper = .object(members)
            }
            return paper
        }
        object["options"] = .array(
            entry.options.map {
                [
                    "name": .string($0.name), "default": .string($0.defaultValue), "permitted": .string($0.range),
                    "help": .string($0.help),
                ]
            })
        return .object(object)
    }
}
