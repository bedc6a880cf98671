import PithCore

/// Names of files as a hub tells them, which may be made to lead out of the folder that they are meant for.
enum HubPath {
    /// Throws unless `path` leads to a place below the folder that it is taken in.
    static func check(_ path: String) throws(PithError) {
        func refuse(_ reason: String) -> PithError {
            .data("the name of a file \(reason)", at: String(path.prefix(200)).debugDescription)
        }
        guard path.utf8.count <= 1024 else { throw refuse("is longer than 1024 bytes") }
        guard path.printable == path else { throw refuse("has control characters") }
        guard !path.utf8.contains(UInt8(ascii: "\\")) else { throw refuse("has a backslash") }
        for component in BytePath(path).components {
            switch component {
            case "": throw refuse("has an empty part")
            case ".", "..": throw refuse("leads out of its folder")
            default: if component.bytes.count > 255 { throw refuse("has a part of more than 255 bytes") }
            }
        }
    }

    /// Throws where two of the paths are the same, or one is the folder of another.
    static func checkDistinct(_ paths: [String]) throws(PithError) {
        var files = Set<BytePath>()
        for path in paths where !files.insert(BytePath(path)).inserted {
            throw .data("the hub lists a file twice", at: path)
        }
        for path in paths {
            var folder = BytePath(path).folder
            while folder != "." {
                guard !files.contains(folder) else {
                    throw .data("the hub lists a file that is a folder, too", at: folder.description)
                }
                folder = folder.folder
            }
        }
    }
}
