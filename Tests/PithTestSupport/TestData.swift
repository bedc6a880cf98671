import Foundation
import PithCore

/// Files that tests measure on when they are there.
///
/// They are looked for in the folder that `PITH_TEST_DATA` names, else in `shared/data` beside the package.
public enum TestData {
    /// The path of `name` if it is there.
    public static func path(_ name: String) -> String? {
        let path = joinPath(root, name)
        return Files.exists(path) ? path : nil
    }

    /// Whether `name` is there; for `.enabled(if:)`.
    public static func has(_ name: String) -> Bool { path(name) != nil }

    private static let root =
        ProcessInfo.processInfo.environment["PITH_TEST_DATA"]
        ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../shared/data")
        .standardizedFileURL.path

    /// A new folder for a test, removed when `body` is done.
    public static func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = joinPath(NSTemporaryDirectory(), "pith-test-\(UUID().uuidString)")
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        return try body(folder)
    }
}
