import ArgumentParser
import Foundation
import Pith

/// Archives of made-up content, opened again whole and damaged.
struct RoundTripsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "round-trips",
        abstract: "Puts random and adversarial content into archives, and damages them.",
        discussion: """
            Every archive must give its content back and be at most 64 bytes longer; every damaged one must be refused; \
            damaged payloads given to the methods themselves must end in an error or in other bytes. Ends with status 70 \
            at the first that does not. All levels and methods take part; slow ones see one input in --sparing.
            """)

    @Option(help: "How many inputs.")
    var count = 100_000

    @Option(help: "A level or a method instead of all of them; may be repeated.")
    var coder: [String] = []

    @Option(help: "The longest usual input, in bytes; one in a thousand is a hundred times longer.")
    var longest = 4096

    @Option(help: "Slow coders see one input in so many, cut to a quarter of --longest.")
    var sparing = 100

    @Option(help: "Damaged archives, and damaged payloads, for each input.")
    var damaged = 2

    @Option(help: "The seed.")
    var seed: UInt64 = 1

    @Option(help: "Ends with one input of so many million zeros, and one of so many million random bytes, at fast.")
    var gigantic = 0

    func run() throws {
        let coders = try coder.isEmpty ? ArchiveCoder.all() : coder.map { try ArchiveCoder($0, isSlow: false) }
        var tallies = [Tally](repeating: Tally(), count: coders.count)
        var progress = PithCore.Progress("Round trips", total: count)
        for index in 0..<count {
            var random = SeededGenerator(seed: seed &+ UInt64(index))
            let isLong = index % 1000 == 999
            let input = Adversary.content(&random, longest: isLong ? 100 * longest : longest)
            for (place, coder) in coders.enumerated() where !coder.isSlow || (index + place) % sparing == 0 {
                let content = coder.isSlow ? Array(input.prefix(longest / 4)) : input
                do {
                    try coder.check(content, damaged: damaged, &random, &tallies[place])
                } catch { throw fault("\(coder.name), input \(index) of seed \(seed): \(error)") }
            }
            progress.update(index + 1)
        }
        progress.finish()
        for (coder, tally) in zip(coders, tallies) { print("\(coder.name): \(tally)") }
        if gigantic > 0 { try checkGigantic() }
    }

    private func checkGigantic() throws {
        let fast = try ArchiveCoder("fast", isSlow: false)
        var random = SeededGenerator(seed: seed)
        let size = gigantic * 1_000_000
        var tally = Tally()
        try fast.check([UInt8](repeating: 0, count: size), damaged: 0, &random, &tally)
        print("\(gigantic) million zeros: \(tally)")
        tally = Tally()
        let noise = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try fast.check(noise, damaged: 0, &random, &tally)
        print("\(gigantic) million random bytes: \(tally)")
    }
}

private func fault(_ message: String) -> PithError { .fault(message) }

/// What came of the inputs of one coder.
private struct Tally: CustomStringConvertible {
    var (inputs, unsuitable, content, archives, refused, payloads) = (0, 0, 0, 0, 0, 0)

    var description: String {
        var text = "\(inputs) inputs, \(ByteCount(content)) in \(ByteCount(archives))"
        if unsuitable > 0 { text += "; \(unsuitable) more were not of its kind" }
        if refused > 0 { text += "; \(refused) damaged archives refused" }
        if payloads > 0 { text += "; \(payloads) damaged payloads decoded without harm" }
        return text
    }
}

/// A level, or one method, that makes archives.
private struct ArchiveCoder {
    let name: String
    let isSlow: Bool
    private let options: ZipOptions
    private let method: (any DataMethod)?
    private let context = CodingContext(pool: ThreadPool(threads: 1), models: .standard)

    /// All levels, and all methods with the options that change most.
    static func all() throws -> [ArchiveCoder] {
        let quick = ["fast", "store", "lean", "floats", "floats:type=F32", "planes", "planes:width=24"]
        let more = [
            "mix:content=image24,width=30", "mix:content=audio16,width=4", "mix:model=nano", "table:coder=lz",
            "lm:symbols=bytes", "llmzip:coder=adaptive", "circuit:adaptive=false",
        ]
        let others =
            ["default", "best"] + DataCatalogue.all.map { $0.identifier }.filter { !quick.contains($0) } + more
        return try quick.map { try ArchiveCoder($0, isSlow: false) } + others.map { try ArchiveCoder($0, isSlow: true) }
    }

    init(_ name: String, isSlow: Bool) throws {
        (self.name, self.isSlow) = (name, isSlow)
        var options = ZipOptions()
        if let level = ZipLevel(rawValue: name) {
            options.level = level
            method = nil
        } else {
            let spec = try Spec(parsing: name)
            options.method = spec
            method = try DataCatalogue.method(for: spec)
        }
        self.options = options
    }

    /// Throws unless `input` comes back from its archive, and damage is noticed.
    func check(
        _ input: [UInt8], damaged: Int, _ random: inout SeededGenerator, _ tally: inout Tally
    ) throws {
        let archive: [UInt8]
        do throws(PithError) { archive = try Zip.archive(input, options, context) } catch {
            guard error.kind == .usage, method != nil else { throw error }
            tally.unsuitable += 1
            return
        }
        guard try open(archive) == input else { throw fault("does not come back") }
        guard archive.count <= input.count + 64 else { throw fault("is \(archive.count - input.count) longer") }
        for _ in 0..<damaged {
            let broken = Adversary.damage(archive, &random)
            if broken == archive { continue }
            try salvage(broken, of: input.count)
            do throws(PithError) {
                _ = try open(broken)
                let place = zip(broken, archive).prefix { $0 == $1 }.count
                throw fault(
                    "opens though damaged from byte \(place) on, \(broken.count) bytes instead of \(archive.count)")
            } catch {
                guard error.kind != .fault else { throw error }
                tally.refused += 1
            }
        }
        try checkPayloads(of: input, damaged, &random, &tally)
        tally.inputs += 1
        tally.content += input.count
        tally.archives += archive.count
    }

    /// Without the checksums of an archive the damage reaches the decoders.
    private func checkPayloads(
        of input: [UInt8], _ damaged: Int, _ random: inout SeededGenerator, _ tally: inout Tally
    ) throws {
        guard let method, damaged > 0, !input.isEmpty else { return }
        let payload = try method.encode(input, context)
        for _ in 0..<damaged where !payload.isEmpty {
            let broken = Adversary.damage(payload, &random)
            var output: [UInt8] = []
            do throws(PithError) {
                try method.decode(CodedPayload(broken), count: input.count, into: &output, context)
            } catch { guard error.kind != .fault else { throw error } }
            guard output.count <= input.count else { throw fault("gives \(output.count) bytes of \(input.count)") }
            tally.payloads += 1
        }
    }

    /// What can be saved of a damaged archive, and what its list says, must end.
    private func salvage(_ broken: [UInt8], of count: Int) throws {
        do throws(PithError) {
            var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: broken)), context)
            _ = try reader.describe()
        } catch { guard error.kind != .fault else { throw error } }
        let sink = MemorySink()
        do throws(PithError) {
            var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: broken)), context, salvaging: true)
            _ = try Unzip.write(&reader, to: sink)
        } catch { guard error.kind != .fault else { throw error } }
        guard sink.bytes.count <= count + (1 << 26) else {
            throw fault("saves \(sink.bytes.count) bytes of \(count)")
        }
    }

    private func open(_ archive: [UInt8]) throws(PithError) -> [UInt8] {
        var reader = try ArchiveReader(ArchiveSource(ByteRegion(copying: archive)), context)
        let sink = MemorySink()
        _ = try Unzip.write(&reader, to: sink)
        return sink.bytes
    }
}
