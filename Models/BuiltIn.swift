import Foundation

/// What is shipped inside the package: a small language model, a text that it was not trained on, and what compressors
/// begin with.
public enum BuiltIn {
    /// The names of the built-in models.
    public static let modelNames = ["nano"]

    /// The folder of a built-in model; nil if there is none of that name, or it was not installed with the program.
    public static func modelFolder(_ name: String) -> String? {
        guard modelNames.contains(name), let root = resourceFolder else { return nil }
        return root.appendingPathComponent(name).path
    }

    /// Pith's guide: the text that is measured on where none is given. No built-in model was trained on it.
    public static var guidePath: String? { resourceFolder?.appendingPathComponent("text/guide.md").path }

    /// The papers that Pith was conceived from, as JSON; nil if the list was not installed with the program.
    public static var papersPath: String? { resourceFolder?.appendingPathComponent("papers/papers.json").path }

    /// The text of a number that compressors learn before other text; nil if there is none. It never changes: archives
    /// depend on it.
    public static func primerPath(_ number: Int) -> String? {
        resourceFolder?.appendingPathComponent("primer/\(number).txt").path
    }

    /// The first weights of a number of the network that learns bytes as it codes them; nil if there are none. They
    /// never change: archives depend on them.
    public static func networkPath(_ number: Int) -> String? {
        resourceFolder?.appendingPathComponent("stream/\(number).bin").path
    }

    /// Beside the program first, so that both can be moved together; then where the package was built.
    private static let resourceFolder: URL? = {
        let name = "pith_PithBuiltIn"
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        for ending in ["resources", "bundle"] {
            if let folder = program?.appendingPathComponent("\(name).\(ending)"),
                FileManager.default.fileExists(atPath: folder.path)
            {
                return Bundle(url: folder)?.resourceURL ?? folder
            }
        }
        return Bundle.module.resourceURL
    }()
}
