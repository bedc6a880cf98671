import ArgumentParser
import Pith

/// Lists the methods, or shows one.
struct MethodsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "methods", abstract: "List the methods, or show the options of one.")

    @Argument(help: "The method to show.")
    var method: String?

    @Flag(help: "List the papers that Pith was conceived from, and as what each can be run.")
    var papers = false

    @Flag(help: "Print the catalogue, or with --papers the papers, as JSON.")
    var json = false

    @Option(help: "Make the tables of methods in this page anew; CONTRIBUTING says how they are marked.")
    var update: [String] = []

    func run() throws {
        for page in update {
            try AtomicFile.write(try Catalogue.withTables(try Files.text(page)), to: page)
        }
        guard update.isEmpty else { return }
        if papers { return show(try Catalogue.papers()) }
        var planes = Catalogue.planes.map { (plane: $0, entries: $0.entries) }
        if let method {
            for index in planes.indices { planes[index].entries.removeAll { $0.identifier != method } }
            planes.removeAll { $0.entries.isEmpty }
            guard !planes.isEmpty else {
                throw PithError.unknownMethod(
                    method, among: Catalogue.planes.flatMap { $0.entries.map(\.identifier) })
            }
        }
        if json {
            printJSON(.array(planes.flatMap { plane, entries in entries.map { Self.json($0, plane.name) } }))
        } else if method != nil {
            for entry in planes.flatMap(\.entries) { show(entry) }
        } else {
            for (plane, entries) in planes {
                let rows = entries.map { [$0.identifier, $0.paper.map { "\($0.year)" } ?? "", $0.summary] }
                print("Methods for \(plane.name) (\(plane.use)):\n")
                print(TextTable(header: ["method", "year", "what it does"], rows: rows, leftAligned: [0, 1, 2]).text)
                print("")
            }
            print("'pith methods NAME' shows the options of one.")
        }
    }

    private func show(_ papers: [ListedPaper]) {
        if json {
            return printJSON(
                .array(
                    papers.map { paper in
                        [
                            "identifier": .string(paper.identifier), "title": .string(paper.title),
                            "year": .integer(paper.year), "plane": .string(paper.plane),
                            "family": .string(paper.family), "kind": .string(paper.kind),
                            "methods": .array(paper.methods.map { .string($0) }),
                            "command": paper.command.map { .string("pith \($0)") } ?? .null,
                        ]
                    }))
        }
        let rows = papers.map { [$0.identifier, "\($0.year)", $0.plane, $0.state, $0.title] }
        print(
            TextTable(header: ["paper", "year", "plane", "state", "title"], rows: rows, leftAligned: [0, 2, 3, 4]).text)
        print("\(papers.count { $0.isThere }) of \(papers.count) can be run.")
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

    private static func json(_ entry: MethodEntry, _ plane: String) -> JSONValue {
        var object = JSONObject()
        object["plane"] = .string(plane)
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
