import Foundation
import PithCore

/// A folder in which inputs become files; in memory where the system has such a place.
final class Scratch: Sendable {
    let path: String

    init() throws(PithError) {
        let root = Files.isFolder("/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = joinPath(root, "pith-reader-\(UUID().uuidString)")
        try Files.makeFolder(path)
    }

    deinit { try? Files.remove(path) }

    /// A file of that name with these bytes; in place, since nobody else looks.
    func file(_ name: String, _ bytes: some Collection<UInt8>) throws(PithError) -> String {
        let file = joinPath(path, name)
        if let slash = name.lastIndex(of: "/") { try Files.makeFolder(joinPath(path, String(name[..<slash]))) }
        guard let stream = fopen(file, "wb") else { throw .fault("cannot be written", at: file) }
        defer { fclose(stream) }
        let written = Array(bytes).withUnsafeBytes { bytes in
            bytes.baseAddress.map { fwrite($0, 1, bytes.count, stream) } ?? 0
        }
        guard written == bytes.count else { throw .fault("cannot be written", at: file) }
        return file
    }

    /// The folder with the files of an input and no others.
    func folder(_ input: [UInt8]) throws(PithError) -> String {
        try clear()
        for (name, range) in Bundle.files(input) {
            // A name that is a file's and a folder's at once cannot be had.
            do { _ = try file(name, input[range]) } catch { throw .data("the input names what cannot be made") }
        }
        return path
    }

    /// Removes everything.
    func clear() throws(PithError) {
        for name in try Files.names(in: path) { try Files.remove(joinPath(path, name)) }
    }
}
