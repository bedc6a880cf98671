import Foundation
import PithCore
import PithFormats
import PithTestSupport
import Testing

/// `pith compress` as a person runs it, and ends it.
@Suite(.serialized)
struct CompressCommandTests {
    private static let arguments = ["compress", "model", "gptq:bits=4", "--calibration", "text", "--quiet"]

    /// A model that takes some seconds, and a text.
    private func write(to folder: String, layers: Int = 6, width: Int = 256) throws {
        let model = joinPath(folder, "model")
        try Files.makeFolder(model)
        try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: model) {
            ($0.hiddenSize, $0.intermediateSize, $0.headCount, $0.layerCount) = (width, 3 * width, 4, layers)
        }
        try AtomicFile.write(GoldenModels.text(letters: 6000), to: joinPath(folder, "text"))
    }

    private func bytes(_ folder: String) throws -> [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: try Files.names(in: folder).map { ($0, try Files.bytes(joinPath(folder, $0))) })
    }

    /// Waits until `count` layers or all are written.
    private func wait(for count: Int, in folder: String, _ process: Process) {
        let path = joinPath(folder, "out.part/part-\(count).json")
        for _ in 0..<10_000 where process.isRunning && !Files.exists(path) { usleep(2_000) }
    }

    @Test func killedWorkGoesOn() throws {
        try TestData.withTemporaryFolder { folder in
            try write(to: folder)
            #expect(try Program.run(Self.arguments + ["-o", "whole"], in: folder).status == 0)
            var killed = 0
            for count in [0, 1, 2, 4] {
                let resumed = Files.exists(joinPath(folder, "out.part")) ? ["--resume"] : []
                let ending = try Program.run(Self.arguments + ["-o", "out"] + resumed, in: folder) { process in
                    wait(for: count, in: folder, process)
                    usleep(UInt32(count) * 5_000)
                    kill(process.processIdentifier, SIGKILL)
                }
                killed += ending.isSignal ? 1 : 0
            }
            #expect(killed > 0)
            let again = try Program.run(Self.arguments + ["-o", "out"], in: folder)
            #expect(again.status == 64 && again.errors.contains("--resume") && again.errors.contains("remove"))
            #expect(try Program.run(Self.arguments + ["-o", "out", "--resume"], in: folder).status == 0)
            #expect(try bytes(joinPath(folder, "out")) == bytes(joinPath(folder, "whole")))
            #expect(try Files.names(in: folder) == ["model", "out", "text", "whole"])
        }
    }

    @Test func interruptionSaysHowToGoOn() throws {
        try TestData.withTemporaryFolder { folder in
            try write(to: folder, layers: 12)
            let ending = try Program.run(Self.arguments + ["-o", "out"], in: folder) { process in
                wait(for: 1, in: folder, process)
                kill(process.processIdentifier, SIGINT)
            }
            #expect(ending.status == 130 && !ending.isSignal && ending.errors.contains("--resume"), "\(ending.errors)")
            #expect(!Files.exists(joinPath(folder, "out")) && Files.exists(joinPath(folder, "out.part")))
        }
    }

    /// The most memory and disk that a run takes, seen from outside.
    private func extent(_ arguments: [String], in folder: String) throws -> (memory: Int, disk: Int) {
        var (memory, disk) = (0, 0)
        let ending = try Program.run(arguments, in: folder) { process in
            while process.isRunning {
                memory = max(memory, peak(of: process) ?? 0)
                disk = max(disk, size(of: joinPath(folder, "out.part")))
                usleep(1_000)
            }
        }
        #expect(ending.status == 0, "\(ending.errors)")
        return (memory, disk)
    }

    private func peak(of process: Process) -> Int? {
        let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }.map { $0 << 10 }
    }

    private func size(of folder: String) -> Int {
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return files.reduce(0) { sum, name in
            let path = joinPath(folder, name)
            return sum + (Files.isFolder(path) ? 0 : (try? Files.size(path).value) ?? 0)
        }
    }

    #if os(Linux)
        @Test func aPlanIsHonestAndALimitIsKept() throws {
            try TestData.withTemporaryFolder { folder in
                try write(to: folder, layers: 2, width: 1024)
                let dry = try Program.run(Self.arguments + ["-o", "out", "--dry-run", "--json"], in: folder)
                #expect(try Files.names(in: folder) == ["model", "text"])
                let plan = JSONReader(try JSONValue(parsing: dry.output))
                let memory = try plan.member("peakMemoryBytes").integer()
                let disk = try plan.member("diskBytes").integer()
                let real = try extent(Self.arguments + ["-o", "out"], in: folder)
                #expect(real.memory < memory && memory < 2 * real.memory, "\(memory) foreseen, \(real.memory) taken")
                #expect(real.disk <= disk && disk < 2 * real.disk, "\(disk) foreseen, \(real.disk) taken")
                let bytes = try Files.bytes(joinPath(folder, "out/model.safetensors"))

                // The least that is said to do does, and no more is taken.
                let limited = Self.arguments + ["-o", "out2", "--memory-limit"]
                let refused = try Program.run(limited + ["10MB"], in: folder)
                #expect(refused.status == 64 && !Files.exists(joinPath(folder, "out2.part")))
                let words = refused.errors.split(separator: " ")
                let place = try #require(words.firstIndex(of: "least"))
                let least = try #require(ByteCount(parsing: "\(words[place + 1]) \(words[place + 2].prefix(2))"))
                let limit = least.value + least.value / 100
                let small = try extent(limited + ["\(limit)"], in: folder)
                #expect(small.memory < limit, "\(limit) allowed, \(small.memory) taken")
                #expect(small.memory < real.memory)
                #expect(try Files.bytes(joinPath(folder, "out2/model.safetensors")) == bytes)
            }
        }

        @Test func inspectingKeepsItsLimit() throws {
            try TestData.withTemporaryFolder { folder in
                try write(to: folder, layers: 12, width: 1024)
                let size = try Files.size(joinPath(folder, "model/model.safetensors")).value
                let refused = try Program.run(["inspect", "model", "--memory-limit", "20MB"], in: folder)
                #expect(refused.status == 64 && refused.errors.contains("needs at least"))
                let limit = 120_000_000
                #expect(limit < size)
                let taken = try extent(["inspect", "model", "--memory-limit", "\(limit)"], in: folder)
                #expect(taken.memory < limit, "\(taken.memory)")
            }
        }
    #endif
}
