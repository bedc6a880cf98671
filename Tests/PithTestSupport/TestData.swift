import Foundation
import PithCore

/// Files that tests measure on when they are there.
///
/// They are looked for in the folder that `PITH_TEST_DATA` names, else in `shared/data` beside the package; and in that
/// which `PITH_TEST_MODELS` names, else in `models` beside the package.
public enum TestData {
    /// The path of `name` if it is there.
    public static func path(_ name: String) -> String? {
        roots.map { joinPath($0, name) }.first(where: Files.exists)
    }

    /// Whether `name` is there; for `.enabled(if:)`.
    public static func has(_ name: String) -> Bool { path(name) != nil }

    private static let roots = [("PITH_TEST_DATA", "shared/data"), ("PITH_TEST_MODELS", "models")].map {
        variable, folder in
        ProcessInfo.processInfo.environment[variable]
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../\(folder)")
            .standardizedFileURL.path
    }

    /// A new folder for a test, removed when `body` is done.
    public static func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = joinPath(NSTemporaryDirectory(), "pith-test-\(UUID().uuidString)")
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        return try body(folder)
    }
}
