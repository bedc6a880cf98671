import Foundation
import PithCore
import PithTestSupport
import Testing

/// What `pith pull` fetches, and that its name stands for a model from then on.
@Suite struct PullCommandTests {
    private static let golden = GoldenModels.path("grouped-untied")

    private static func files() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in try Files.names(in: golden) { files[name] = try Files.bytes(joinPath(golden, name)) }
        files["padding.safetensors.json"] = [UInt8](repeating: UInt8(ascii: " "), count: 40 << 20)
        return files
    }

    /// A hub, a folder for a test, and the variables that name them.
    private func withHub(
        _ trick: @escaping TestHub.Trick = { _ in nil },
        _ body: (TestHub, _ folder: String, _ environment: [String: String]) throws -> Void
    ) throws {
        let files = try Self.files()
        let hub = try TestHub(files, large: Set(files.keys), trick: trick)
        try TestData.withTemporaryFolder { folder in
            let variables = [
                "HF_ENDPOINT": hub.server.address, "HF_HUB_CACHE": joinPath(folder, "cache"), "HF_TOKEN": "hf_x",
            ]
            try body(hub, folder, variables)
        }
    }

    @Test func modelsByName() throws {
        try withHub { hub, folder, environment in
            func run(_ arguments: String...) throws -> Program.Ending {
                try Program.run(arguments, in: folder, environment: environment)
            }
            let before = try run("run", "some/model", "a b")
            #expect(before.status == 65 && before.errors.contains("'pith pull some/model' fetches it"))
            let dry = try run("pull", "some/model", "--dry-run", "--exclude", "padding*")
            #expect(dry.status == 0 && dry.output.contains("config.json") && dry.output.contains("to fetch"))
            #expect(hub.contentRequests.isEmpty && !dry.output.contains("padding"))
            let pulled = try run("pull", "some/model", "--exclude", "padding*")
            let snapshot = pulled.output.trimmingCharacters(in: .newlines)
            #expect(pulled.status == 0 && Files.exists(joinPath(snapshot, "config.json")))
            // The same as from the folder, wherever a model or a tokenizer is expected.
            for arguments in [["run", "MODEL", "a b", "--max-tokens", "5"], ["tokens", "MODEL", "a b"]] {
                let texts = try [Self.golden, "some/model", "some/model@main"].map { name in
                    let words = arguments.map { $0 == "MODEL" ? name : $0 }
                    return try Program.run(words, in: folder, environment: environment).output
                }
                #expect(!texts[0].isEmpty && Set(texts).count == 1)
            }
            #expect(try run("inspect", "some/model").status == 0)
            let json = try run("pull", "some/model", "--exclude", "padding*", "--json")
            let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
            #expect(object?["folder"] as? String == snapshot && object?["missingBytes"] as? Int == 0)
        }
    }

    @Test func wrongCalls() throws {
        try withHub { _, folder, environment in
            for (arguments, status, word) in [
                (["pull", "model"], 64, "org/name"), (["pull", "some/other"], 65, "does not take the token"),
                (["pull", "some/model@v9"], 65, "did you mean v1"), (["run", "no such model"], 65, "does not exist"),
                (["pull", "some/model", "--include", "*.gguf"], 64, "has no file like"),
            ] as [([String], Int32, String)] {
                let ending = try Program.run(arguments, in: folder, environment: environment)
                let message = ending.errors
                #expect(ending.status == status && message.contains(word), "\(arguments): \(message)")
            }
        }
    }

    /// Killed in the middle, and ended by Ctrl-C: what is there is not fetched again.
    @Test(arguments: [SIGKILL, SIGINT]) func endedPullsGoOn(signal: Int32) throws {
        let padding = "padding.safetensors.json"
        let slow: TestHub.Trick = { request in
            // The second half comes late.
            guard request.path.hasSuffix(padding), let range = request.range, range.lowerBound >= 24 << 20 else {
                return nil
            }
            return LoopbackServer.Reply(status: 503, fields: ["Retry-After": "60"])
        }
        try withHub(slow) { hub, folder, environment in
            let ending = try Program.run(["pull", "some/model"], in: folder, environment: environment) { process in
                let map = joinPath(folder, "cache/models--some--model/blobs")
                func isHalfThere() -> Bool {
                    guard let name = try? Files.names(in: map).first(where: { $0.hasSuffix(".pith.parts") }),
                        let bytes = try? Files.bytes(joinPath(map, name))
                    else { return false }
                    return bytes.suffix(5).elementsEqual(Array("11100".utf8))
                }
                for _ in 0..<3000 where process.isRunning && !isHalfThere() { Thread.sleep(forTimeInterval: 0.02) }
                #expect(isHalfThere())
                kill(process.processIdentifier, signal)
            }
            #expect(ending.isSignal && ending.status == signal)
            let files = try Self.files()
            let next = try TestHub(files, large: Set(files.keys))
            let again = try Program.run(
                ["pull", "some/model"], in: folder,
                environment: environment.merging(["HF_ENDPOINT": next.server.address]) { $1 })
            #expect(again.status == 0)
            let ranges = next.contentRequests.filter { $0.path.hasSuffix(padding) }.compactMap(\.range?.lowerBound)
            #expect(ranges.sorted() == [24 << 20, 32 << 20])
            let snapshot = again.output.trimmingCharacters(in: .newlines)
            #expect(try Files.bytes(joinPath(snapshot, padding)) == files[padding])
        }
    }
}
