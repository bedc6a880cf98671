import CFuzzer
import Foundation
import PithCore
import PithReaders

/// Reads damaged files: `pith-fuzz list`, `seeds READER FOLDER`, `replay READER FILE…`, `mutate READER COUNT [SEED]`,
/// `mutation READER SEED`; with `PITH_FUZZ_READER` in the environment it searches, and takes libFuzzer's options.
struct Program {
    let reader: Reader
    let place: ReadingPlace

    init(_ name: String) throws {
        guard let reader = Reader.named(name) else {
            throw PithError.usage("there is no reader '\(name)'", remedy: "'pith-fuzz list' names them")
        }
        self.reader = reader
        place = try ReadingPlace()
        // What is made once is made before anything is watched.
        for seed in try reader.seeds() { _ = reader.read(seed, in: place) }
    }

    /// Reads an input while its memory is watched; what was taken at most.
    func read(_ bytes: [UInt8]) -> (outcome: Reader.Outcome, largest: Int, most: Int) {
        pith_watch_begin(reader.largestAllocation(for: bytes.count), reader.mostHeld(for: bytes.count))
        let outcome = reader.read(bytes, in: place)
        var (largest, most) = (0, 0)
        pith_watch_end(&largest, &most)
        return (outcome, largest, most)
    }

    func replay(_ paths: [String]) throws {
        for path in paths {
            let (outcome, largest, most) = read(try Files.bytes(path))
            let text = if case .refused(let error) = outcome { "refused: \(error)" } else { "read" }
            print("\(path): \(text); largest allocation \(largest), most held \(most)")
        }
    }

    /// The damage of a number: of one of the seeds, once or twice.
    static func mutation(_ number: UInt64, of seeds: [[UInt8]], isText: Bool) -> [UInt8] {
        var mutator = Mutator(seed: number)
        var bytes = seeds[Int(number % UInt64(seeds.count))]
        for _ in 0...(number / 7 % 2) { bytes = mutator.damaged(input: bytes, isText: isText) }
        return bytes
    }

    func mutate(_ count: UInt64, from first: UInt64) throws {
        pith_report_crashes()
        let seeds = try reader.seeds()
        let start = Date()
        var (refused, largest, most) = (0, 0, 0)
        for seed in first..<first + count {
            let bytes = Self.mutation(seed, of: seeds, isText: reader.isText)
            pith_set_input_number(seed)
            alarm(Self.secondsForAnInput)
            let result = read(bytes)
            if case .refused = result.outcome { refused += 1 }
            (largest, most) = (max(largest, result.largest), max(most, result.most))
        }
        alarm(0)
        print(
            "\(reader.name): \(count) inputs, \(refused) refused, largest allocation \(largest), most held \(most), "
                + String(format: "%.1f s", Date().timeIntervalSince(start)))
    }

    private static let secondsForAnInput: UInt32 = 60
}

nonisolated(unsafe) var searching: Program?

func search(_ name: String) throws -> Int32 {
    searching = try Program(name)
    let status = pith_fuzz_run(CommandLine.argc, CommandLine.unsafeArgv) { bytes, count in
        _ = searching?.read(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    } _: { bytes, count, limit, seed in
        // Every other change is left to the engine, which knows what is new.
        guard let bytes, let reader = searching?.reader, seed % 2 == 0 else { return 0 }
        var mutator = Mutator(seed: UInt64(seed))
        let input = Array(UnsafeBufferPointer(start: bytes, count: count))
        let changed = mutator.damaged(input: input, isText: reader.isText)
        guard changed.count <= limit else { return 0 }
        for (i, byte) in changed.enumerated() { bytes[i] = byte }
        return changed.count
    }
    guard status >= 0 else {
        throw PithError.usage("was built without an engine", remedy: "'make fuzz' builds it with one")
    }
    return status
}

func main(_ words: [String]) throws {
    if let name = ProcessInfo.processInfo.environment["PITH_FUZZ_READER"] { exit(try search(name)) }
    switch words.first {
    case "list": for reader in Reader.all { print(reader.name) }
    case "seeds" where words.count == 3:
        try Files.makeFolder(words[2])
        guard let reader = Reader.named(words[1]) else { throw PithError.usage("there is no reader '\(words[1])'") }
        for (index, seed) in try reader.seeds().enumerated() {
            try AtomicFile.write(seed, to: joinPath(words[2], "seed-\(index)"))
        }
    case "replay" where words.count > 2: try Program(words[1]).replay(Array(words[2...]))
    case "mutate" where words.count > 2:
        guard let count = UInt64(words[2]), let seed = UInt64(words.count > 3 ? words[3] : "1") else { fallthrough }
        try Program(words[1]).mutate(count, from: seed)
    case "mutation" where words.count == 3:
        guard let seed = UInt64(words[2]), let reader = Reader.named(words[1]) else { fallthrough }
        FileHandle.standardOutput.write(Data(try Program.mutation(seed, of: reader.seeds(), isText: reader.isText)))
    default:
        throw PithError.usage(
            "pith-fuzz list | seeds READER FOLDER | replay READER FILE… | mutate READER COUNT [SEED]"
                + " | mutation READER SEED")
    }
}

do { try main(Array(CommandLine.arguments.dropFirst())) } catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(64)
}
