import Foundation
import Pith
import PithArchive
import PithCore
import PithTestSupport
import Testing

/// Folders go into archives and come out, whatever is in them and wherever they come out.
struct ArchiveFolderTests {
    private static func zip(_ input: ArchiveInput) throws -> [UInt8] {
        let sink = MemorySink()
        var options = ZipOptions()
        options.level = .fast
        try Zip.write(input, to: sink, options, ArchiveTests.context)
        return sink.bytes
    }

    private static func extract(_ archive: [UInt8], into root: String, isReplacing: Bool = false) throws -> [Unzip.Loss]
    {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), ArchiveTests.context)
        return try Unzip.extract(&reader, into: BytePath(root), isReplacing: isReplacing)
    }

    private static func entry(
        _ path: BytePath, _ kind: ArchiveDirectory.Kind = .file, size: Int = 0, modified: Int = 0
    ) -> ArchiveDirectory.Entry {
        ArchiveDirectory.Entry(path: path, kind: kind, size: size, permissions: 0o644, modified: modified)
    }

    @Test func longNamesComeOut() throws {
        try TestData.withTemporaryFolder { folder in
            for length in [200, 245, 250, 255] {
                let name = String(repeating: "n", count: length)
                try Files.makeFolder(joinPath(folder, "in\(length)"))
                for (name, text) in [("1", "one"), (name, "two"), ("z", "three")] {
                    try AtomicFile.write(text, to: joinPath(folder, "in\(length)/\(name)"))
                }
                let archive = try Self.zip(ArchiveInput(paths: [BytePath(joinPath(folder, "in\(length)"))]))
                #expect(try Self.extract(archive, into: joinPath(folder, "out")) == [])
                #expect(try Files.text(joinPath(folder, "out/in\(length)/\(name)")) == "two")
                #expect(try Files.names(in: joinPath(folder, "out/in\(length)")).count == 3)
            }
        }
    }

    /// What a directory must not hold: two things at a place, things below what is no folder, names that no file has,
    /// contents of folders.
    @Test func directoriesThatCannotBeAreRefused() throws {
        let wrong: [[ArchiveDirectory.Entry]] = [
            [Self.entry("l", .link, size: 3), Self.entry("l/x")],
            [Self.entry("a"), Self.entry("b"), Self.entry("a")],
            [Self.entry("d", .folder), Self.entry("d", .link, size: 1)],
            [Self.entry("f"), Self.entry("f/g/h")],
            [Self.entry("d", .folder, size: 4)],
            [Self.entry("l", .link, size: 0)], [Self.entry("l", .link, size: 5000)],
            [Self.entry(BytePath([UInt8](repeating: 97, count: 256)))],
            [Self.entry(BytePath("a/" + String(repeating: "b/", count: 40_000) + "c"))],
        ]
        for entries in wrong {
            #expect(throws: PithError.self, "\(entries.map(\.path))") {
                try ArchiveDirectory(ArchiveDirectory(entries: entries).bytes)
            }
        }
        let right = [
            Self.entry("d", .folder), Self.entry("d-e"), Self.entry("d/f"), Self.entry("d.g"), Self.entry("e/f/g"),
            Self.entry("e\u{301}"), Self.entry("\u{E9}"), Self.entry(BytePath([0xE9, 0xFF])),
        ]
        #expect(try ArchiveDirectory(ArchiveDirectory(entries: right).bytes).map(\.path) == right.map(\.path))
    }

    @Test func timesAtTheEndsOfNumbersComeBack() throws {
        let times = [0, Int.max, Int.min, -1, 1 << 62, -6_698_727_701_578_022_144, Int.min]
        let entries = times.enumerated().map { Self.entry(BytePath("\($0)"), modified: $1) }
        #expect(try ArchiveDirectory(ArchiveDirectory(entries: entries).bytes).map(\.modified) == times)
    }

    @Test func nothingIsWrittenThroughLinks() throws {
        try TestData.withTemporaryFolder { folder in
            for name in ["in/d", "outside", "out/in"] { try Files.makeFolder(joinPath(folder, name)) }
            try AtomicFile.write("new", to: joinPath(folder, "in/d/f"))
            try AtomicFile.write("new", to: joinPath(folder, "in/g"))
            try FileManager.default.createSymbolicLink(atPath: joinPath(folder, "in/l"), withDestinationPath: "g")
            try AtomicFile.write("old", to: joinPath(folder, "outside/f"))
            let archive = try Self.zip(ArchiveInput(paths: [BytePath(joinPath(folder, "in"))]))
            for (place, target) in [("d", "../../outside"), ("g", "../../outside/f"), ("l", "nowhere")] {
                try FileManager.default.createSymbolicLink(
                    atPath: joinPath(folder, "out/in/\(place)"), withDestinationPath: target)
            }
            // Links that stand there stay, or give way: they are never followed.
            let losses = try Self.extract(archive, into: joinPath(folder, "out"))
            #expect(Set(losses.map(\.path)) == ["in/d", "in/d/f", "in/g", "in/l"])
            #expect(try Self.extract(archive, into: joinPath(folder, "out"), isReplacing: true) == [])
            #expect(try Files.names(in: joinPath(folder, "outside")) == ["f"])
            #expect(try Files.text(joinPath(folder, "outside/f")) == "old")
            #expect(try Files.text(joinPath(folder, "out/in/d/f")) == "new")
            #expect(try Files.linkTarget(BytePath(joinPath(folder, "out/in/l"))) == "g")
            #expect(try Files.names(in: joinPath(folder, "out/in")) == ["d", "g", "l"])
        }
    }

    @Test func inputsMayChangeWhileTheyAreRead() throws {
        try TestData.withTemporaryFolder { folder in
            let names = ["a", "b", "c", "d"]
            for name in names {
                try AtomicFile.write(ArchiveTests.text(300_000), to: joinPath(folder, "in/\(name)", making: true))
            }
            let input = try ArchiveInput(paths: [BytePath(joinPath(folder, "in"))])
            let single = try ArchiveInput(paths: [BytePath(joinPath(folder, "in/b"))])
            #expect(truncate(joinPath(folder, "in/b"), 1000) == 0)
            try Files.remove(joinPath(folder, "in/c"))
            try AtomicFile.write(ArchiveTests.noise(300_000), to: joinPath(folder, "in/d"))
            let archive = try Self.zip(input)
            #expect(Set(input.notes.all.filter(\.isLoss).map(\.path.name)) == ["b", "c", "d"])
            #expect(try Self.extract(archive, into: joinPath(folder, "out")) == [])
            #expect(try Files.bytes(joinPath(folder, "out/in/a")) == ArchiveTests.text(300_000))
            #expect(
                try Files.bytes(joinPath(folder, "out/in/b")) == ArchiveTests.text(1000)
                    + [UInt8](repeating: 0, count: 299_000))
            #expect(try Files.bytes(joinPath(folder, "out/in/d")) == ArchiveTests.noise(300_000))
            // One file alone is what was read of it.
            #expect(try ArchiveTests.open(Self.zip(single)) == ArchiveTests.text(1000))
            #expect(single.notes.all.count == 1)
        }
    }

    @Test(.enabled(if: Files.exists("/proc/version"), "needs /proc"))
    func whatTheSystemMakesUpIsReadToItsEnd() throws {
        let input = try ArchiveInput(paths: ["/proc/version"])
        #expect(try ArchiveTests.open(Self.zip(input)) == Files.bytes("/proc/version"))
        #expect(try !Files.bytes("/proc/version").isEmpty)
    }

    @Test func linksAreFollowedWherePeopleMeanIt() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("weights", to: joinPath(folder, "blobs/1", making: true))
            try Files.makeFolder(joinPath(folder, "snapshot/inner"))
            for (link, target) in [
                ("snapshot/model", "../blobs/1"), ("snapshot/inner/again", ".."), ("snapshot/nowhere", "gone"),
                ("name", "snapshot"),
            ] {
                try FileManager.default.createSymbolicLink(atPath: joinPath(folder, link), withDestinationPath: target)
            }
            // A link given by name is followed, those within are stored and said.
            let input = try ArchiveInput(paths: [BytePath(joinPath(folder, "name"))])
            let kinds = Dictionary(uniqueKeysWithValues: input.directory!.map { ($0.path, $0.kind) })
            #expect(kinds["name"] == .folder && kinds["name/model"] == .link && kinds["name/inner/again"] == .link)
            #expect(input.notes.all.map(\.isLoss) == [false] && input.notes.all[0].message.contains("--follow"))
            let followed = try ArchiveInput(paths: [BytePath(joinPath(folder, "name"))], followsLinks: true)
            let files = Dictionary(uniqueKeysWithValues: followed.directory!.map { ($0.path, $0.kind) })
            #expect(
                files["name/model"] == .file && files["name/inner/again"] == .link && files["name/nowhere"] == .link)
        }
    }

    @Test func anArchiveDoesNotHoldItself() throws {
        try TestData.withTemporaryFolder { folder in
            for name in ["a", "out.pith"] {
                try AtomicFile.write(name, to: joinPath(folder, "in/\(name)", making: true))
            }
            let archive = try InputFile(BytePath(joinPath(folder, "in/out.pith"))).state
            let input = try ArchiveInput(paths: [BytePath(joinPath(folder, "in"))], archive: archive)
            #expect(input.directory!.map(\.path) == ["in", "in/a"])
        }
    }

    @Test func nobodyReadsAnArchiveWhoMightNotReadWhatIsInIt() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("open", to: joinPath(folder, "in/open", making: true))
            try AtomicFile.write("secret", to: joinPath(folder, "in/secret"))
            chmod(joinPath(folder, "in/secret"), 0o600)
            let input = try ArchiveInput(paths: [BytePath(joinPath(folder, "in"))])
            #expect(input.attributes.permissions & 0o077 == 0)
            // Nor is a file open to others before it has its permissions.
            let path = BytePath(joinPath(folder, "made"))
            let sink = try AtomicFile(at: path)
            let unfinished = try #require(try Files.names(in: folder).first { $0.hasSuffix(".part") })
            #expect(try FileStatus(BytePath(joinPath(folder, unfinished)), followsLinks: false).permissions == 0o600)
            try sink.commit(as: FileAttributes(permissions: 0o4755))
            #expect(try FileStatus(path, followsLinks: false).permissions == 0o755)
        }
    }
}

/// `path` with `name` below it, the folders of which are made if asked.
private func joinPath(_ path: String, _ name: String, making: Bool) throws -> String {
    let joined = PithCore.joinPath(path, name)
    if making { try Files.makeFolder(BytePath(joined).folder.systemText) }
    return joined
}
