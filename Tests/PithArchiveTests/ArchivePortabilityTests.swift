import Pith
import PithArchive
import PithCore
import PithPredictors
import PithTensor
import Testing

/// Archives do not depend on the instructions and threads that made them, and open with any others.
@Suite struct ArchivePortabilityTests {
    @Test(arguments: ZipLevel.allCases)
    func everyPathAndThreadCountAgrees(level: ZipLevel) throws {
        // A language model without any vector instructions takes its time.
        let content =
            ArchiveTests.text(level == .best ? 300 : 1500) + Array("Portable bits, naïve or not: 0.5 · 2⁻⁸.\n".utf8)
        var options = ZipOptions()
        options.level = level
        var archives: [[UInt8]] = []
        let paths = KernelPath.allCases.filter(\.isAvailable)
        try KernelPath.useEach { _ in
            for threads in [1, 2] { archives.append(try Zip.archive(content, options, Self.context(threads))) }
        }
        #expect(archives.count == 2 * paths.count)
        #expect(archives.allSatisfy { $0 == archives[0] })
        try KernelPath.useEach { path in
            for threads in [1, 2] {
                let source = ArchiveSource(ByteRegion(copying: archives[0]))
                var reader = try ArchiveReader(source, Self.context(threads))
                let sink = MemorySink()
                _ = try Unzip.write(&reader, to: sink)
                #expect(sink.bytes == content, "\(path), \(threads) threads")
            }
        }
    }

    /// A text of less than the primer's size, but more than a sixteenth of it, learns all of it and not more.
    @Test func middlingTextsComeBack() throws {
        let content = ArchiveTests.text(20_000)
        var options = ZipOptions()
        options.method = try Spec(parsing: "mix:effort=best,primer=1")
        let archive = try Zip.archive(content, options, Self.context(2))
        #expect(try ArchiveTests.open(archive) == content)
    }

    private static func context(_ threads: Int) -> CodingContext {
        CodingContext(pool: ThreadPool(threads: threads), models: .standard)
    }
}
