import Foundation
import PithCore

/// Real models and texts to test on, where this machine has them.
enum TestData {
    /// The folder of `PITH_TEST_DATA`, or `../shared/data` beside the package.
    static let folder: String = {
        if let path = ProcessInfo.processInfo.environment["PITH_TEST_DATA"] { return path }
        return packageRoot + "/../shared/data"
    }()

    static let packageRoot = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The folder of `PITH_TEST_MODELS`, or `../models` beside the package.
    static let modelFolder = ProcessInfo.processInfo.environment["PITH_TEST_MODELS"] ?? packageRoot + "/../models"

    static func path(_ name: String) -> String {
        [folder, modelFolder].map { joinPath($0, name) }.first(where: Files.exists) ?? joinPath(folder, name)
    }
    static func has(_ name: String) -> Bool { Files.exists(path(name)) }
    /// A committed file of expected values.
    static func golden(_ name: String) -> String { packageRoot + "/Tests/Golden/" + name }
}

/// A folder that is removed when it goes out of use.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "pith-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: file(name))) }
}
