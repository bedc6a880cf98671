import Foundation
import PithCore
import PithHub
import PithTestSupport
import Synchronization
import Testing

/// What is fetched, where it goes, and what is not fetched again.
@Suite struct PullTests {
    static let weights = (0..<12_345).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    static let files: [String: [UInt8]] = [
        "config.json": Array("{}".utf8), "tokenizer.json": Array("{\"a\":1}".utf8), "model.safetensors": weights,
        "pytorch_model.bin": weights, "onnx/model.onnx": weights, ".gitattributes": [1], "logo.png": [2],
        "1_Pooling/config.json": Array("{\"b\":2}".utf8), "empty.txt": [], "a b+ü.json": Array("[]".utf8),
    ]
    static let chosen = [
        "1_Pooling/config.json", "a b+ü.json", "config.json", "empty.txt", "model.safetensors", "tokenizer.json",
    ]

    static func hub(_ trick: @escaping TestHub.Trick = { _ in nil }) throws -> TestHub {
        try TestHub(files, large: ["model.safetensors"], trick: trick)
    }

    static func address(_ ending: String = "") throws -> RepositoryAddress {
        try RepositoryAddress(parsing: TestHub.repository + ending)
    }

    /// Fetches what is chosen by default; the events that were told are returned, too.
    @discardableResult
    static func pull(
        _ hub: TestHub, into folder: String, _ ending: String = "", selection: FileSelection = FileSelection(),
        _ change: (inout HubSettings) -> Void = { _ in }
    ) throws -> (folder: String, notices: [String]) {
        let notices = Mutex<[String]>([])
        let models = ModelHub(try hub.settings(cache: folder, change)) { event in
            if case .notice(let text) = event { notices.withLock { $0.append(text) } }
        }
        let path = try models.pull(models.plan(address(ending), selection))
        return (path, notices.withLock { $0 })
    }

    static func expectWhole(_ snapshot: String, _ names: [String] = chosen) throws {
        for name in names { #expect(try Files.bytes(joinPath(snapshot, name)) == files[name], "\(name)") }
    }

    @Test func whatPithNeeds() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            let models = ModelHub(try hub.settings(cache: folder))
            let plan = try models.plan(Self.address())
            #expect(plan.files.map(\.file.path) == Self.chosen && plan.files.allSatisfy { !$0.isThere })
            #expect(plan.missingBytes == Self.chosen.reduce(0) { $0 + (Self.files[$1]?.count ?? 0) })
            #expect(!Files.exists(joinPath(folder, "models--some--model")))
            let snapshot = try models.pull(plan)
            try Self.expectWhole(snapshot)
            #expect(try models.cache.files(Self.address(), TestHub.commit) == Self.chosen.sorted())
        }
    }

    /// The layout of `huggingface_hub`, and nothing besides.
    @Test func layout() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            try Self.pull(hub, into: folder)
            let home = joinPath(folder, "models--some--model")
            #expect(try Files.text(joinPath(home, "refs/main")) == TestHub.commit)
            let tags = Self.chosen.map { name in
                let bytes = Self.files[name] ?? []
                return name == "model.safetensors" ? TestHub.sha256(bytes) : TestHub.gitSum(bytes)
            }
            #expect(try Files.names(in: joinPath(home, "blobs")) == tags.sorted())
            let snapshot = joinPath(home, "snapshots/\(TestHub.commit)")
            #expect(
                try Files.linkTarget(BytePath(joinPath(snapshot, "config.json")))
                    == BytePath("../../blobs/\(TestHub.gitSum(Array("{}".utf8)))"))
            #expect(
                try Files.linkTarget(BytePath(joinPath(snapshot, "1_Pooling/config.json")))
                    == BytePath("../../../blobs/\(TestHub.gitSum(Array("{\"b\":2}".utf8)))"))
        }
    }

    @Test func partsAreFetchedOnce() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            try Self.pull(hub, into: folder)
            let ranges = hub.contentRequests.filter { $0.path.hasSuffix("model.safetensors") }.compactMap(\.range)
            #expect(ranges.sorted { $0.lowerBound < $1.lowerBound }.first == 0...999 && ranges.count == 13)
            #expect(ranges.reduce(0) { $0 + $1.count } == Self.weights.count)
            hub.server.clearLog()
            // Another time only the revision is asked for.
            try Self.expectWhole(Self.pull(hub, into: folder).folder)
            #expect(hub.server.requests.map(\.path) == ["/api/models/some/model/revision/main"])
            // What another revision shares is not fetched again, and neither is what lies beside a missing link.
            try Files.remove(joinPath(folder, "models--some--model/snapshots"))
            hub.server.clearLog()
            try Self.expectWhole(Self.pull(hub, into: folder, "@v1").folder)
            #expect(hub.contentRequests.isEmpty)
            #expect(try Files.text(joinPath(folder, "models--some--model/refs/v1")) == TestHub.commit)
        }
    }

    @Test(arguments: ["@refs/pr/1", "@" + TestHub.commit]) func revisions(_ ending: String) throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            try Self.expectWhole(Self.pull(hub, into: folder, ending).folder)
            #expect(try HubCache(root: folder).snapshot(Self.address(ending)) != nil)
            #expect(Files.exists(joinPath(folder, "models--some--model/refs/pr/1")) == false)
            #expect(Files.exists(joinPath(folder, "models--some--model/refs/refs/pr/1")) == ending.hasPrefix("@refs"))
        }
    }

    /// A hub that has only the first bytes of the weights, until it is told that it is whole.
    private static func brokenHub(from offset: Int, until isWhole: StopRequest) throws -> TestHub {
        try hub { request in
            guard request.path.hasSuffix("model.safetensors"), let range = request.range, range.upperBound >= offset,
                !isWhole.isRaised
            else { return nil }
            return .text("{\"error\":\"no\"}", status: 400)
        }
    }

    /// The file that is there in part goes on where it was, also in another process.
    @Test func goesOn() throws {
        let isWhole = StopRequest()
        let hub = try Self.brokenHub(from: 5000, until: isWhole)
        try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) {
                try Self.pull(hub, into: folder) { $0.transfer.connections = 1 }
            }
            #expect(failure?.message == "the hub answers with status 400: no")
            #expect(!Files.exists(joinPath(folder, "models--some--model/refs/main")))
            isWhole.raise()
            hub.server.clearLog()
            try Self.expectWhole(Self.pull(hub, into: folder).folder)
            let ranges = hub.contentRequests.compactMap(\.range)
            #expect(ranges.map(\.lowerBound).min() == 5000 && ranges.count == 8)
            // Parts of one version only.
            #expect(
                hub.contentRequests.filter { $0.range != nil }.allSatisfy {
                    $0.fields["if-range"] == "\"\(TestHub.sha256(Self.weights))\""
                })
        }
    }

    /// Parts of another size are begun anew, and go on from then on.
    @Test(arguments: [700, 1300]) func otherParts(size: Int) throws {
        let isWhole = StopRequest()
        let hub = try Self.brokenHub(from: 5200, until: isWhole)
        try TestData.withTemporaryFolder { folder in
            for partSize in [1000, size] {
                #expect(throws: PithError.self) {
                    try Self.pull(hub, into: folder) { settings in
                        (settings.transfer.connections, settings.transfer.partSize) = (1, partSize)
                    }
                }
            }
            isWhole.raise()
            hub.server.clearLog()
            try Self.expectWhole(Self.pull(hub, into: folder) { $0.transfer.partSize = size }.folder)
            #expect(hub.contentRequests.compactMap(\.range?.lowerBound).min() == 5200 / size * size)
        }
    }

    @Test func noRoom() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) {
                try Self.pull(hub, into: folder) { $0.transfer.freeSpace = { _ in ByteCount(10_000) } }
            }
            #expect(failure?.message == "there is no room for 12.4 kB: 10.0 kB are free")
            #expect(hub.contentRequests.isEmpty)
        }
    }

    @Test func offline() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) {
                try Self.pull(hub, into: folder) { $0.isOffline = true }
            }
            #expect(failure?.message.contains("HF_HUB_OFFLINE") == true)
            try Self.pull(hub, into: folder)
            hub.server.clearLog()
            try Self.expectWhole(Self.pull(hub, into: folder) { $0.isOffline = true }.folder)
            #expect(hub.server.requests.isEmpty)
        }
    }

    /// A snapshot without links, as `huggingface_hub` makes it where there are none.
    @Test func filesInPlaceOfLinks() throws {
        let hub = try Self.hub()
        try TestData.withTemporaryFolder { folder in
            let snapshot = joinPath(folder, "models--some--model/snapshots/\(TestHub.commit)")
            try Files.makeFolder(joinPath(snapshot, "1_Pooling"))
            for name in Self.chosen { try AtomicFile.write(Self.files[name] ?? [], to: joinPath(snapshot, name)) }
            try Self.pull(hub, into: folder)
            #expect(hub.contentRequests.isEmpty)
        }
    }

    @Test func sameContentTwice() throws {
        let bytes = [UInt8](repeating: 7, count: 3000)
        let hub = try TestHub(["a.json": bytes, "b.json": bytes])
        try TestData.withTemporaryFolder { folder in
            let snapshot = try Self.pull(hub, into: folder).folder
            #expect(try Files.bytes(joinPath(snapshot, "a.json")) == bytes)
            #expect(try Files.bytes(joinPath(snapshot, "b.json")) == bytes)
            #expect(hub.contentRequests.count == 3)
        }
    }
}
