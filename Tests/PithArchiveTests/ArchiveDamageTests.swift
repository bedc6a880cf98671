import Foundation
import Pith
import PithArchive
import PithCore
import PithPredictors
import PithTestSupport
import Synchronization
import Testing

/// Damage stays where it is, and what an archive claims is not believed.
struct ArchiveDamageTests {
    private static let files: [(name: String, content: [UInt8])] = [
        ("a.txt", ArchiveTests.text(3000)), ("b.raw", ArchiveTests.noise(70_000)),
        ("c.txt", ArchiveTests.text(200, seed: 5)),
    ]

    private static func archive() throws -> [UInt8] {
        try TestData.withTemporaryFolder { folder in
            for file in files { try AtomicFile.write(file.content, to: joinPath(folder, file.name)) }
            let sink = MemorySink()
            var options = ZipOptions()
            options.level = .fast
            let paths = files.map { BytePath(joinPath(folder, $0.name)) }
            try Zip.write(ArchiveInput(paths: paths), to: sink, options, ArchiveTests.context)
            return sink.bytes
        }
    }

    /// The names of the files that come out whole; what comes out under its name must be right.
    private static func saved(_ archive: [UInt8]) throws -> Set<String> {
        try TestData.withTemporaryFolder { folder in
            var reader = try ArchiveReader(
                ArchiveSource(ByteRegion(copying: archive)), ArchiveTests.context, salvaging: true)
            guard reader.directory != nil else { return [] }
            let losses = try Unzip.extract(&reader, into: BytePath(folder))
            let whole = files.filter { Files.exists(joinPath(folder, $0.name)) }
            for file in whole { #expect(try Files.bytes(joinPath(folder, file.name)) == file.content) }
            #expect(whole.count == files.count || !losses.isEmpty)
            return Set(whole.map(\.name))
        }
    }

    @Test func oneWrongByteLosesWhatItStandsInAlone() throws {
        let archive = try Self.archive()
        #expect(try Self.saved(archive).count == 3)
        var (whole, losses) = (0, 0)
        // The directory, the head behind it, and what stands behind the content; and some of the content.
        let ends = Array(0..<200) + Array(archive.count - 200..<archive.count)
        for index in ends + Array(stride(from: 200, to: archive.count - 200, by: 997)) {
            var damaged = archive
            damaged[index] ^= 1 << UInt8(index % 8)
            let saved = try Self.saved(damaged)
            // Text and noise are in segments of their own.
            #expect(saved.contains("b.raw") || saved.isSuperset(of: ["a.txt", "c.txt"]), "byte \(index)")
            if saved.count == 3 { whole += 1 } else { losses += 1 }
        }
        // Heads, both lists of files and the end lose nothing.
        #expect(whole > 40 && losses > 0)
    }

    @Test func aLostHeadLosesItsSegmentAlone() throws {
        let archive = try Self.archive()
        let segments = try SegmentSearch.segments(of: ArchiveSource(ByteRegion(copying: archive)))
        #expect(segments.map(\.header.role) == [.directory, .content, .content, .lastDirectory])
        for (index, segment) in segments.enumerated() {
            var damaged = archive
            for offset in segment.payload - 20..<segment.payload { damaged[offset] = 0x55 }
            let saved = try Self.saved(damaged)
            switch index {
            case 1: #expect(saved == ["a.txt", "c.txt"])
            case 2: #expect(saved == ["b.raw"])
            default: #expect(saved.count == 3)
            }
        }
        // Bytes that are missing or too many move what stands behind them.
        for middle in [segments[1].payload + 10, segments[2].payload + 10] {
            #expect(try !Self.saved(Array(archive[..<middle] + archive[(middle + 3)...])).isEmpty)
            #expect(try !Self.saved(Array(archive[..<middle] + [1, 2, 3] + archive[middle...])).isEmpty)
        }
    }

    @Test func anArchiveWithinIsNotTakenForTheOneAround() throws {
        let inner = try ArchiveTests.archive(ArchiveTests.noise(3000) + ArchiveTests.text(90_000))
        var options = ZipOptions()
        options.method = try Spec(parsing: "store")
        let outer = try Zip.archive(inner, options, ArchiveTests.context)
        var damaged = outer
        for offset in 4..<30 { damaged[offset] = 0x55 }
        #expect(throws: PithError.self) {
            try SegmentSearch.segments(of: ArchiveSource(ByteRegion(copying: damaged)))
        }
    }

    /// An archive of stored segments, in which anything can be claimed.
    private static func crafted(
        _ directory: [UInt8], _ contents: [[UInt8]], claiming counts: [Int]? = nil, _ specs: [String]? = nil
    ) -> [UInt8] {
        var (bytes, end) = (ArchiveFormat.name + [ArchiveFormat.version], ArchiveEnd())
        for (index, content) in ([directory] + contents).enumerated() {
            let header = SegmentHeader(
                role: index == 0 ? .directory : .content, start: index == 0 ? 0 : end.count,
                spec: specs?[index] ?? "store", fingerprint: nil, count: counts?[index] ?? content.count,
                payloadCount: content.count, hash: XXHash64.hash(content))
            bytes += header.bytes + content
            if header.isFramed, !content.isEmpty {
                bytes += content.withUnsafeBytes { ArchiveFormat.check($0) }.bytes
            }
            end.add(header)
        }
        return bytes + end.bytes
    }

    private static func test(_ archive: [UInt8]) throws {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), ArchiveTests.context)
        try Unzip.test(&reader)
    }

    @Test func listsOfFilesMustFitTheContent() throws {
        func directory(_ size: Int) -> [UInt8] {
            ArchiveDirectory(entries: [
                .init(path: "f", kind: .file, size: size, permissions: 0o644, modified: 0)
            ]).bytes
        }
        try Self.test(Self.crafted(directory(5), [[1, 2, 3], [4, 5]]))
        try Self.test(Self.crafted(directory(3), [[1, 2, 3], []]))
        for size in [0, 4, 6, 1 << 40] {
            #expect(throws: PithError.self) { try Self.test(Self.crafted(directory(size), [[1, 2, 3], [4, 5]])) }
        }
    }

    @Test func claimsAreChecked() throws {
        let directory = ArchiveDirectory(entries: []).bytes
        // Segments of nothing, of more than there is, and lists of files that few bytes claim to hold.
        for spec in ["store", "lean", "floats:type=F32", "planes:width=8", "mix", "no-such-method"] {
            for count in [0, 1, 1000, 1 << 25, 1 << 40] {
                #expect(throws: PithError.self) {
                    try Self.test(Self.crafted(directory, [[7]], claiming: [directory.count, count], ["store", spec]))
                }
            }
        }
        for count in [1 << 20, 1 << 26, 1 << 40] {
            #expect(throws: PithError.self) {
                try Self.test(Self.crafted([1, 2, 3], [], claiming: [count], ["lean"]))
            }
        }
    }

    @Test func progressAddsUpToTheTimeThatWasForetold() throws {
        let content = ArchiveTests.text(150_000) + ArchiveTests.noise(150_000) + [UInt8](repeating: 0, count: 9)
        for (level, threads) in [(ZipLevel.fast, 1), (.fast, 2), (.standard, 1)] {
            let told = Mutex(0)
            let context = CodingContext(pool: ThreadPool(threads: threads), models: .standard) { count in
                told.withLock { $0 += count }
            }
            var options = ZipOptions()
            options.level = level
            let job = try ZipJob(ArchiveInput(ByteRegion(copying: content)), options, context)
            let sink = MemorySink()
            _ = try job.write(to: sink)
            let coding = Double(told.withLock { $0 }) / Double(try job.time)
            #expect((0.9...1.1).contains(coding), "\(level), \(threads) threads: \(coding)")
            told.withLock { $0 = 0 }
            var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: sink.bytes)), context)
            let time = try #require(reader.time)
            try Unzip.test(&reader)
            let opening = Double(told.withLock { $0 }) / Double(time)
            #expect((0.9...1.1).contains(opening), "\(level), \(threads) threads: \(opening)")
        }
    }
}
