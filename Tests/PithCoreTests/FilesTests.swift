import Foundation
import PithCore
import Testing

@Suite("Files")
struct FilesTests {
    private let folder = NSTemporaryDirectory() + "pith-files-\(UUID().uuidString)"

    @Test func whatIsWrittenIsMapped() throws {
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        let path = joinPath(folder, "a")
        try AtomicFile.write("hello", to: path)
        #expect(try Files.text(path) == "hello")
        #expect(try Files.size(path) == ByteCount(5))
        try AtomicFile.write("", to: path)
        #expect(try MappedFile.open(path).count == 0)
        #expect(try Files.names(in: folder) == ["a"])
    }

    @Test func anUnfinishedFileLeavesTheOldOne() throws {
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        let path = joinPath(folder, "a")
        try AtomicFile.write("old", to: path)
        do {
            let file = try AtomicFile(at: path)
            try [1, 2, 3].withUnsafeBytes { try file.write($0) }
        }
        #expect(try Files.text(path) == "old")
        #expect(try Files.names(in: folder) == ["a"])
    }

    @Test func aFolderThatFailsLeavesNothing() throws {
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        let target = joinPath(folder, "model")
        #expect(throws: PithError.data("broken")) {
            try Files.buildFolder(at: target) { (inner) throws(PithError) in
                try AtomicFile.write("x", to: joinPath(inner, "x"))
                throw .data("broken")
            }
        }
        #expect(try Files.names(in: folder).isEmpty)
    }

    @Test func missingFilesAreWrongData() {
        let error = #expect(throws: PithError.self) { try MappedFile.open("/nonexistent/file") }
        #expect(error?.kind == .data)
        #expect(error?.place == "/nonexistent/file")
        #expect(throws: PithError.self) { try MappedFile.open("/") }
    }
}

@Suite("SHA-256")
struct SHA256Tests {
    // The examples of FIPS 180-4, and a million times "a".
    @Test func publishedDigests() {
        func digest(_ text: String) -> String { Array(text.utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) } }
        #expect(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            digest(String(repeating: "a", count: 1_000_000))
                == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func piecesGiveTheDigestOfTheWhole() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let whole = bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) }
        for size in [1, 3, 63, 64, 65, 200] {
            var digest = SHA256()
            for start in stride(from: 0, to: bytes.count, by: size) {
                bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { digest.update($0) }
            }
            #expect(digest.hexDigest() == whole)
        }
    }
}

@Suite("Units")
struct UnitsTests {
    @Test func numbersForPeople() {
        #expect(ByteCount(987).description == "987 B")
        #expect(ByteCount(12_345_678).description == "12.3 MB")
        #expect(ByteCount(999_999).description == "1.00 MB")
        #expect(BitsPerWeight(bytes: ByteCount(500), weights: 1000).description == "4.00")
        #expect(0.000123456.formatted(significant: 3) == "0.000123")
        #expect(45.678.formatted(significant: 3) == "45.7")
        #expect(0.000581234.compact(significant: 3) == "5.81e-4")
        #expect(0.0123.compact(significant: 2) == "0.012")
        #expect(Double.nan.formatted(decimals: 2) == "nan")
        #expect(Progress.time(3725) == "1 h 02 min")
    }
}

@Suite("Paths")
struct BytePathTests {
    @Test func partsOfPaths() {
        #expect(BytePath("a/b//").trimmed == "a/b" && BytePath("///").trimmed == "/" && BytePath("").trimmed == "")
        #expect(BytePath("a/b").name == "b" && BytePath("a/b").folder == "a")
        #expect(BytePath("/b").folder == "/" && BytePath("b").folder == "." && BytePath("a/").name == "")
        #expect(BytePath("a/").appending("b") == "a/b" && BytePath("a").appending("b") == "a/b")
    }

    @Test func whatPeopleAreShown() {
        #expect(BytePath("naïve 語").description == "naïve 語")
        #expect(BytePath([0x61, 0x1B, 0x5B, 0xE9, 0x0A, 0xC3]).description == "a\\u{1B}[\\xE9\\u{A}\\xC3")
        #expect(BytePath("a\\b").description == "a\\\\b")
        #expect("left\u{202E}right".printable == "left\\u{202E}right")
    }

    @Test func sameLettersOtherBytes() {
        #expect(BytePath("\u{E9}") != BytePath("e\u{301}"))
    }
}

@Suite("What stands where files are written")
struct OccupiedPlaceTests {
    @Test func linksAreReplacedAndDevicesWrittenTo() throws {
        let folder = NSTemporaryDirectory() + "pith-places-\(UUID().uuidString)"
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        try AtomicFile.write("precious", to: joinPath(folder, "victim"))
        symlink("victim", joinPath(folder, "link"))
        try AtomicFile.write("new", to: joinPath(folder, "link"))
        #expect(try Files.text(joinPath(folder, "victim")) == "precious")
        #expect(try FileStatus(BytePath(joinPath(folder, "link")), followsLinks: false).kind == .file)
        #expect(AtomicFile.isStream("/dev/null") && AtomicFile.isStream("/dev/stdout"))
        try AtomicFile.write("nothing", to: "/dev/null")
        #expect(try FileStatus("/dev/null", followsLinks: false).kind == .special)
        #expect(throws: PithError.self) { try AtomicFile.write("x", to: folder) }
        #expect(throws: PithError.self) { try AtomicFile.write("x", to: folder + "/") }
        #expect(try Files.names(in: folder) == ["link", "victim"])
    }

    @Test func longNamesCanBeWritten() throws {
        let path = NSTemporaryDirectory() + String(repeating: "n", count: 255)
        try AtomicFile.write("x", to: path)
        #expect(try Files.text(path) == "x")
        try Files.remove(path)
    }
}
