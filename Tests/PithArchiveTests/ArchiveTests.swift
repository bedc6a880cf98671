import Foundation
import Pith
import PithArchive
import PithCore
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

struct ArchiveTests {
    static let context = CodingContext(pool: ThreadPool(threads: 2), models: .standard)

    static func text(_ count: Int, seed: UInt64 = 3) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        let words = ["segments ", "are ", "independent ", "of ", "each ", "other.\n", "bits ", "and bytes "]
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += Array(words[Int(random.next() % 8)].utf8) }
        return Array(bytes.prefix(count))
    }

    static func noise(_ count: Int, seed: UInt64 = 9) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    static func open(_ archive: [UInt8]) throws -> [UInt8] {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), context)
        let sink = MemorySink()
        _ = try Unzip.write(&reader, to: sink)
        return sink.bytes
    }

    static func archive(_ bytes: [UInt8], _ level: ZipLevel = .fast) throws -> [UInt8] {
        var options = ZipOptions()
        options.level = level
        return try Zip.archive(bytes, options, context)
    }

    /// Segments of different needs go side by side as far as the sum of them fits, and each goes at last.
    @Test func wavesKeepTheMemoryLimit() {
        var random = SeededGenerator(seed: 3)
        let context = CodingContext(pool: ThreadPool(threads: 3))
        for _ in 0..<1000 {
            var wave = SegmentWave(context, memoryLimit: 100)
            var (count, sum) = (0, 0)
            while true {
                let needed = random.index(below: 50) == 0 ? Int.max : 1 + random.index(below: 90)
                let fits = count == 0 || count < 3 && needed <= 100 - sum
                #expect(wave.admits(needed) == fits)
                guard fits else { break }
                count += 1
                sum = needed == .max ? 100 : sum + needed
            }
        }
    }

    @Test(arguments: [0, 1, 2, 100, 5000, 70_000])
    func bytesComeBack(count: Int) throws {
        for bytes in [Self.text(count), Self.noise(count), [UInt8](repeating: 0, count: count)] {
            let archive = try Self.archive(bytes)
            #expect(try Self.open(archive) == bytes)
            #expect(archive.count <= bytes.count + 64)
        }
    }

    @Test(arguments: ["lean", "floats:type=F64", "planes:width=4096"])
    func longRunsComeBack(method: String) throws {
        // They may take a millionth of their size and less.
        let bytes = [UInt8](repeating: 0, count: 33_000_000)
        var options = ZipOptions()
        options.method = try Spec(parsing: method)
        let archive = try Zip.archive(bytes, options, Self.context)
        #expect(archive.count < 100_000)
        #expect(try Self.open(archive) == bytes)
    }

    @Test func memoryThatIsNotThereIsAnError() {
        #expect(throws: PithError.self) { try ZeroedMemory(byteCount: 1 << 60) }
    }

    @Test func textGetsSmaller() throws {
        #expect(try Self.archive(Self.text(20_000)).count < 8000)
    }

    @Test func everyCutIsRefused() throws {
        let archive = try Self.archive(Self.text(3000))
        for length in 0..<archive.count {
            #expect(throws: PithError.self) { try Self.open(Array(archive.prefix(length))) }
        }
    }

    @Test func whatStandsBehindTheEndIsRefused() throws {
        let archive = try Self.archive(Self.text(300))
        #expect(throws: PithError.self) { try Self.open(archive + archive.suffix(1)) }
        #expect(throws: PithError.self) { try Self.open(archive + archive) }
    }

    /// Level best asks a language model that is named of text, and leaves it out where it knows too little.
    @Test func theLanguageModelIsAsked() throws {
        let path = try #require(BuiltIn.guidePath)
        let guide = try MappedFile.open(path).withBytes { Array($0.prefix(3000)) }
        let program = Array(
            (0..<100).map { "x\($0 * 7919 % 997)=q[\($0 * 31 % 89)]^k[\($0 * 17 % 61)];\n" }.joined().utf8)
        #expect(try ModelKnowledge.helps("nano", with: guide, Self.context))
        #expect(try !ModelKnowledge.helps("nano", with: program, Self.context))
        for (content, isUsed) in [(guide, true), (program, false)] {
            var options = ZipOptions()
            (options.level, options.model) = (.best, "nano")
            let sink = MemorySink()
            let written = try Zip.write(
                ArchiveInput(ByteRegion(copying: content)), to: sink, options, Self.context)
            #expect(written[0].spec.contains("model=nano") == isUsed, "\(written[0].spec)")
            #expect(try Self.open(sink.bytes) == content)
        }
    }

    @Test(arguments: [0, 600]) func everyFlippedBitAndAddedByteIsRefused(count: Int) throws {
        let archive = try Self.archive(Self.text(count))
        for index in archive.indices {
            var damaged = archive
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(throws: PithError.self) { try Self.open(damaged) }
            for added: UInt8 in [0, 0x80] {
                damaged = archive
                damaged.insert(added, at: index)
                #expect(throws: PithError.self, "\(added) before byte \(index)") { try Self.open(damaged) }
            }
        }
    }

    @Test func whatStandsBeforeDamageIsSaved() throws {
        try TestData.withTemporaryFolder { folder in
            // Text, then noise: two segments, of which the first is damaged near its end.
            let (first, second) = (Self.text(900_000), Self.noise(50_000))
            try AtomicFile.write(first, to: joinPath(folder, "a.md"))
            try AtomicFile.write(second, to: joinPath(folder, "b.raw"))
            let sink = MemorySink()
            var options = ZipOptions()
            options.level = .fast
            let input = try ArchiveInput(
                paths: ["a.md", "b.raw"].map { BytePath(joinPath(folder, $0)) })
            let segments = try Zip.write(input, to: sink, options, Self.context)
            #expect(segments.map(\.isDirectory) == [true, false, false, true])
            var damaged = sink.bytes
            damaged[segments[0].storedCount + segments[1].storedCount * 3 / 4] ^= 16
            var reader = try ArchiveReader(
                ArchiveSource(ByteRegion(copying: damaged)), Self.context, salvaging: true)
            let losses = try Unzip.extract(&reader, into: BytePath(joinPath(folder, "out")))
            #expect(losses.map(\.path) == ["a.md"])
            let saved = try Files.bytes(joinPath(folder, "out/a.md.damaged"))
            let right = saved.count - losses[0].count
            #expect(right > first.count / 8)
            #expect(saved.prefix(right) == first.prefix(right))
            #expect(try Files.bytes(joinPath(folder, "out/b.raw")) == second)
        }
    }

    @Test func wrongBytesOfWhatIsStoredAreNoticed() throws {
        let noise = Self.noise(5000)
        var archive = try Self.archive(noise)
        archive[3000] ^= 4
        #expect(throws: PithError.self) { try Self.open(archive) }
        var reader = try ArchiveReader(
            ArchiveSource(ByteRegion(copying: archive)), Self.context, salvaging: true)
        let sink = MemorySink()
        let losses = try Unzip.write(&reader, to: sink)
        #expect(losses.map(\.count) == [0])
        #expect(zip(sink.bytes, noise).count { $0 != $1 } == 1)
    }

    @Test func foldersComeBack() throws {
        try TestData.withTemporaryFolder { folder in
            try Files.makeFolder(joinPath(folder, "in/deep/empty"))
            try AtomicFile.write(Self.text(4000), to: joinPath(folder, "in/one.txt"))
            try AtomicFile.write([UInt8](), to: joinPath(folder, "in/deep/nothing"))
            try AtomicFile.write(Self.noise(300), to: joinPath(folder, "in/deep/ö x.bin"))
            chmod(joinPath(folder, "in/one.txt"), 0o640)
            try FileManager.default.createSymbolicLink(
                atPath: joinPath(folder, "in/link"), withDestinationPath: "one.txt")
            let sink = MemorySink()
            try Zip.write(
                try ArchiveInput(paths: [BytePath(joinPath(folder, "in"))]), to: sink, ZipOptions(), Self.context)
            var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: sink.bytes)), Self.context)
            #expect(try Unzip.extract(&reader, into: BytePath(joinPath(folder, "out"))) == [])
            #expect(try Files.bytes(joinPath(folder, "out/in/one.txt")) == Self.text(4000))
            #expect(try Files.bytes(joinPath(folder, "out/in/link")) == Self.text(4000))
            #expect(try Files.bytes(joinPath(folder, "out/in/deep/nothing")) == [])
            #expect(try Files.bytes(joinPath(folder, "out/in/deep/ö x.bin")) == Self.noise(300))
            #expect(Files.isFolder(joinPath(folder, "out/in/deep/empty")))
            let attributes = try FileManager.default.attributesOfItem(atPath: joinPath(folder, "out/in/one.txt"))
            #expect(attributes[.posixPermissions] as? Int == 0o640)
        }
    }

    @Test(arguments: ["../x", "/x", "a/../../x", "a//b", ""])
    func pathsThatLeadOutAreRefused(path: String) throws {
        let entry = ArchiveDirectory.Entry(path: BytePath(path), kind: .file, size: 0, permissions: 0o644, modified: 0)
        let directory = ArchiveDirectory(entries: [entry])
        let sink = MemorySink()
        try Zip.write(ArchiveInput(directory: directory), to: sink, ZipOptions(), Self.context)
        #expect(throws: PithError.self) {
            _ = try ArchiveReader(ArchiveSource(ByteRegion(copying: sink.bytes)), Self.context)
        }
    }

    @Test func threadsChangeNothing() throws {
        var options = ZipOptions()
        options.level = .fast
        let bytes = Self.text(100_000) + Self.noise(100_000)
        let archives = try [1, 2, 3].map { threads in
            try Zip.archive(bytes, options, CodingContext(pool: ThreadPool(threads: threads)))
        }
        #expect(archives[0] == archives[1] && archives[1] == archives[2])
    }

    @Test func checksumIsTheStandardOne() {
        // From the package xxhash 3.
        #expect(XXHash64.hash([UInt8]()) == 0xEF46_DB37_51D8_E999)
        #expect(XXHash64.hash(Array("abcdefgh".utf8)) == 0x3AD3_5177_5B46_34B7)
        #expect(XXHash64.hash((0..<100).map { UInt8($0) }) == 0x6AC1_E580_3216_6597)
        let long = (0..<1280).map { UInt8($0 % 256) }
        #expect(XXHash64.hash(long) == 0xAFC1_84AD_7938_A354)
        var pieces = XXHash64()
        for start in stride(from: 0, to: 1280, by: 77) {
            long[start..<min(1280, start + 77)].withUnsafeBytes { pieces.update($0) }
        }
        #expect(pieces.value == 0xAFC1_84AD_7938_A354)
    }
}
