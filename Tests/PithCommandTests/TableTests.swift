import Foundation
import Pith
import PithTestSupport
import Testing

@Suite("Tables of methods")
struct TableTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path

    /// `make tables` makes them anew.
    @Test(
        "pages say what the catalogue says",
        arguments: ["README.md", "Docs/Methods.md", "Docs/Compression.md", "Docs/Training.md"])
    func areUpToDate(page: String) throws {
        let text = try Files.text(joinPath(Self.root, page))
        #expect(text.contains("<!-- methods of "))
        #expect(try Catalogue.withTables(text) == text, "make tables")
    }

    @Test func everyPlaneHasMethodsOfItsOwn() {
        for plane in Catalogue.planes {
            let names = plane.entries.map(\.identifier)
            #expect(Set(names).count == names.count && !names.isEmpty)
        }
    }

    @Test("papers are listed once each, and methods name papers of the list by their titles")
    func papers() throws {
        let papers = try Catalogue.papers()
        let titles = Dictionary(papers.map { ($0.identifier, $0.title) }) { first, _ in first }
        #expect(titles.count == papers.count && papers.count == 330)
        for entry in Catalogue.planes.flatMap(\.entries) {
            guard let paper = entry.paper, let identifier = paper.identifier else { continue }
            if titles[identifier] == nil {
                // Well-known methods beside the list are named by the number of their preprint.
                #expect(identifier.contains("."), "\(entry.identifier): \(identifier)")
            } else {
                #expect(titles[identifier]?.lowercased() == paper.title.lowercased(), "\(entry.identifier)")
            }
        }
    }

    @Test("commands that do what a paper says are there")
    func commandsOfPapers() throws {
        try TestData.withTemporaryFolder { folder in
            for command in Set(try Catalogue.papers().compactMap(\.command)) {
                let words = command.split(separator: " ").prefix { !$0.hasPrefix("-") }.map(String.init)
                let help = try Program.run(["help"] + words, in: folder)
                #expect(help.status == 0 && help.output.contains("USAGE: pith \(words.joined(separator: " "))"))
                for option in command.split(separator: " ") where option.hasPrefix("--") {
                    #expect(help.output.contains(option), "\(command)")
                }
            }
        }
    }

    @Test func marksThatAreWrongAreRefused() {
        for page in ["<!-- methods of nothing -->\n<!-- end of methods -->", "<!-- methods of weights -->\n"] {
            #expect(throws: PithError.self) { try Catalogue.withTables(page) }
        }
    }
}
