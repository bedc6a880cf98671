import Foundation
import PithCore
import PithHub
import PithTestSupport
import Testing

private let python = ProcessInfo.processInfo.environment["PITH_TEST_PYTHON"]

/// The package `huggingface_hub` reads what Pith fetched, and the reverse.
///
/// `PITH_TEST_PYTHON` names a Python that has the package.
@Suite(.enabled(if: python != nil, "PITH_TEST_PYTHON names no Python with huggingface_hub"))
struct HuggingFaceClientTests {

    /// What a script prints, line by line, that asks `hub` with the cache in `folder`.
    private func run(
        _ script: String, _ hub: TestHub, _ folder: String, isOffline: Bool = false
    ) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        process.arguments = ["-c", script]
        process.environment = [
            "HF_ENDPOINT": hub.server.address, "HF_HUB_CACHE": folder, "HOME": folder, "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": isOffline ? "1" : "0", "NO_PROXY": "127.0.0.1",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private let names = ["config.json", "model.safetensors", "1_Pooling/config.json"]

    @Test(arguments: ["main", "v1", TestHub.commit]) func itReadsWhatPithFetched(_ revision: String) throws {
        let hub = try PullTests.hub()
        try TestData.withTemporaryFolder { folder in
            let snapshot = try PullTests.pull(hub, into: folder, "@\(revision)").folder
            hub.server.clearLog()
            let call = "'some/model', revision='\(revision)'"
            let script = """
                from huggingface_hub import snapshot_download, hf_hub_download, scan_cache_dir
                print(snapshot_download(\(call), allow_patterns=\(names)))
                for name in \(names): print(hf_hub_download('some/model', name, revision='\(revision)'))
                cache = scan_cache_dir()
                print(len(cache.warnings), sum(len(r.files) for p in cache.repos for r in p.revisions))
                """
            let expected =
                [snapshot] + names.map { joinPath(snapshot, $0) } + ["0 \(PullTests.chosen.count)"]
            #expect(try run(script, hub, folder) == expected)
            #expect(hub.contentRequests.isEmpty)
            hub.server.clearLog()
            #expect(try run(script, hub, folder, isOffline: true) == expected)
            #expect(hub.server.requests.isEmpty)
        }
    }

    @Test func pithReadsWhatItFetched() throws {
        let hub = try PullTests.hub()
        try TestData.withTemporaryFolder { folder in
            let script = """
                from huggingface_hub import snapshot_download
                print(snapshot_download('some/model', ignore_patterns=['*.bin', '*.onnx', '*.png', '.*']))
                """
            let snapshot = try #require(try run(script, hub, folder).first)
            hub.server.clearLog()
            #expect(try PullTests.pull(hub, into: folder).folder == snapshot)
            #expect(hub.contentRequests.isEmpty)
            try PullTests.expectWhole(snapshot)
            let address = try PullTests.address()
            #expect(HubCache(root: folder).snapshot(address) == snapshot)
            #expect(try PullTests.pull(hub, into: folder) { $0.isOffline = true }.folder == snapshot)
        }
    }

    /// What the package left unfinished is no obstacle, and what Pith left is none to it.
    @Test func unfinishedFiles() throws {
        let hub = try PullTests.hub()
        try TestData.withTemporaryFolder { folder in
            let blobs = joinPath(folder, "models--some--model/blobs")
            try Files.makeFolder(blobs)
            let tag = TestHub.sha256(PullTests.weights)
            try AtomicFile.write([1, 2, 3], to: joinPath(blobs, "\(tag).incomplete"))
            try PullTests.expectWhole(PullTests.pull(hub, into: folder).folder)
            let other = joinPath(folder, "other")
            let broken = try PullTests.hub { request in
                guard request.path.hasSuffix("model.safetensors"), request.range?.lowerBound ?? 0 >= 5000 else {
                    return nil
                }
                return LoopbackServer.Reply(status: 400)
            }
            #expect(throws: PithError.self) { try PullTests.pull(broken, into: other) }
            #expect(try Files.names(in: joinPath(other, "models--some--model/blobs")).contains("\(tag).pith.parts"))
            let script = """
                from huggingface_hub import hf_hub_download
                print(hf_hub_download('some/model', 'model.safetensors'))
                """
            let path = try #require(try run(script, hub, other).first)
            #expect(try Files.bytes(path) == PullTests.weights)
            try PullTests.expectWhole(PullTests.pull(hub, into: other).folder)
        }
    }
}
