import Foundation
import Pith
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

    @Test func marksThatAreWrongAreRefused() {
        for page in ["<!-- methods of nothing -->\n<!-- end of methods -->", "<!-- methods of weights -->\n"] {
            #expect(throws: PithError.self) { try Catalogue.withTables(page) }
        }
    }
}
