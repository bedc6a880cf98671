import Foundation
import PithCore
import PithReaders
import Testing

/// Damaged files are refused with an error, or turn out to be whole; they never crash.
@Suite struct ReaderTests {
    private static let names = Reader.all.map(\.name)

    /// Readers to which any bytes mean something.
    private static let generous: Set = ["token-streams"]

    private func reader(_ name: String) throws -> Reader { try #require(Reader.named(name)) }

    @Test(arguments: names) func someSeedsAreRead(_ name: String) throws {
        let (reader, place) = (try reader(name), try ReadingPlace())
        let outcomes = try reader.seeds().map { reader.read($0, in: place) }
        let read = outcomes.filter { if case .read = $0 { true } else { false } }
        #expect(read.count * 2 > outcomes.count, "\(name): \(outcomes)")
    }

    @Test(arguments: names) func damagedFilesAreRefusedOrRead(_ name: String) throws {
        let (reader, place) = (try reader(name), try ReadingPlace())
        let seeds = try reader.seeds()
        var (mutator, refused) = (Mutator(seed: 41), 0)
        for index in 0..<120 {
            let input = mutator.damaged(input: seeds[index % seeds.count], isText: reader.isText)
            if case .refused = reader.read(input, in: place) { refused += 1 }
        }
        #expect(refused > 0 || Self.generous.contains(name))
    }

    /// Files that once ended the program, never ended themselves, or took more memory than they should: refused, but for
    /// expressions that are proper ones.
    @Test func whatWasFoundStaysFixed() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Fuzzing/Corpus").standardizedFileURL.path
        for name in try Files.names(in: folder) {
            let (reader, place) = (try reader(name), try ReadingPlace())
            for file in try Files.names(in: joinPath(folder, name)) {
                let outcome = reader.read(try Files.bytes(joinPath(joinPath(folder, name), file)), in: place)
                let isRefused = if case .refused = outcome { true } else { false }
                #expect(isRefused == (name != "expressions"), "\(name)/\(file)")
            }
        }
    }
}
