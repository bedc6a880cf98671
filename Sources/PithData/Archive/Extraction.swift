import Foundation
import PithCore

/// Deals the content of an archive out to its files.
///
/// Links are made last, so that no file is written through one.
struct Extraction {
    private let root: String
    private let entries: [ArchiveDirectory.Entry]
    // The entry whose content comes next, and how much of it is to come.
    private var index = -1
    private var left = 0
    private var file: FileSink?
    private var target: [UInt8] = []
    private var isDamaged = false
    private var links: [(path: String, target: String)] = []
    private var losses: [Unzip.Loss] = []

    /// Makes the folders of `directory` below `root`.
    init(_ directory: ArchiveDirectory, _ root: String) throws(PithError) {
        self.root = root
        entries = directory.entries
        try Files.makeFolder(root)
        for entry in entries where entry.kind == .folder { try Files.makeFolder(path(entry)) }
        try advance()
    }

    private func path(_ entry: ArchiveDirectory.Entry) -> String { joinPath(root, entry.path) }

    /// Ends the current file once it is whole and begins the next, over those without content.
    private mutating func advance() throws(PithError) {
        while left == 0 && index < entries.count {
            try close()
            index += 1
            guard index < entries.count else { return }
            left = entries[index].size
            if entries[index].kind == .file { file = try FileSink(path(entries[index])) }
        }
    }

    /// Puts the current file in its place, or beside it if it is damaged.
    private mutating func close() throws(PithError) {
        guard entries.indices.contains(index) else { return }
        let entry = entries[index]
        if let file {
            try file.commit()
            var place = path(entry)
            if isDamaged {
                guard rename(place, place + ".damaged") == 0 else { throw .fault("cannot be renamed", at: place) }
                place += ".damaged"
            }
            Self.setAttributes(of: place, entry)
        } else if entry.kind == .link && !isDamaged {
            links.append((path(entry), String(decoding: target, as: UTF8.self)))
        }
        (file, target, isDamaged) = (nil, [], false)
    }

    private static func setAttributes(of path: String, _ entry: ArchiveDirectory.Entry) {
        // Programs that would run with another's rights do not come out of archives.
        chmod(path, mode_t(entry.permissions & 0o777))
        var times = [timeval(), timeval()]
        times[0].tv_sec = entry.modified
        times[1].tv_sec = entry.modified
        utimes(path, times)
    }

    /// Takes the next bytes of content; with a reason, some of them are wrong.
    mutating func write(_ bytes: [UInt8], damagedBy reason: PithError? = nil) throws(PithError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard index < entries.count else { throw .data("the content is longer than its files") }
            if let reason { lose(0, reason) }
            let part = rest.prefix(left)
            if entries[index].kind == .link { target += part } else { try file?.write(Array(part)) }
            rest = rest.dropFirst(part.count)
            left -= part.count
            try advance()
        }
    }

    /// Passes over bytes that are lost; in a file they are zeros.
    mutating func skip(_ count: Int, _ reason: PithError) throws(PithError) {
        var rest = count
        while rest > 0 && index < entries.count {
            let part = min(rest, left)
            lose(part, reason)
            for start in stride(from: 0, to: part, by: 1 << 20) {
                try file?.write([UInt8](repeating: 0, count: min(part - start, 1 << 20)))
            }
            rest -= part
            left -= part
            try advance()
        }
    }

    private mutating func lose(_ count: Int, _ reason: PithError) {
        isDamaged = true
        losses.append(Unzip.Loss(path: entries[index].path, count: count, reason: reason))
    }

    /// Ends early: the current file is kept as far as it came, and those behind it are not made.
    mutating func abandon(_ reason: PithError) throws(PithError) {
        guard index < entries.count else { return }
        lose(left, reason)
        try close()
        for entry in entries[(index + 1)...] where entry.kind != .folder {
            losses.append(Unzip.Loss(path: entry.path, count: entry.size, reason: reason))
        }
        index = entries.count
    }

    /// Makes the links, gives folders their permissions, the innermost first, and says what was lost.
    mutating func finish() throws(PithError) -> [Unzip.Loss] {
        guard index == entries.count else { throw .data("the content is shorter than its files") }
        for link in links {
            do { try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: link.target) } catch
            {
                throw .fault("the link cannot be made: \(error.localizedDescription)", at: link.path)
            }
        }
        for entry in entries.reversed() where entry.kind == .folder { Self.setAttributes(of: path(entry), entry) }
        return losses
    }
}
