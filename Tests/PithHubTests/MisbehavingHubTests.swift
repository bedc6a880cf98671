import Foundation
import PithCore
import PithFormats
import PithHub
import PithTestSupport
import Synchronization
import Testing

/// Hubs that are slow, broken, wrong or hostile.
@Suite struct MisbehavingHubTests {
    typealias Reply = LoopbackServer.Reply

    /// Counts what matches, so that a trick is played some times only.
    final class Counter: Sendable {
        private let count = Mutex(0)
        /// How often it was asked before.
        func next() -> Int {
            count.withLock { count in
                count += 1
                return count - 1
            }
        }
    }

    private func isWeights(_ request: LoopbackServer.Request) -> Bool {
        request.method == "GET" && request.path.hasSuffix("model.safetensors")
    }

    private func failure(
        _ ending: String = "", selection: FileSelection = FileSelection(),
        settings: @escaping (inout HubSettings) -> Void = { _ in }, _ trick: @escaping TestHub.Trick
    ) throws -> PithError {
        let hub = try PullTests.hub(trick)
        return try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) {
                try PullTests.pull(hub, into: folder, ending, selection: selection, settings)
            }
            #expect(!Files.exists(joinPath(folder, "models--some--model/refs/main")))
            return try #require(failure)
        }
    }

    // MARK: Redirections

    /// Contents that lie elsewhere are fetched from there, which does not see the token.
    @Test(arguments: [true, false]) func redirections(isRelative: Bool) throws {
        let other = try LoopbackServer { request in TestHub.content(request, PullTests.weights, isLarge: true) }
        defer { other.stop() }
        let hub = try PullTests.hub { request in
            guard request.path.hasSuffix("model.safetensors") else { return nil }
            if request.path.hasPrefix("/moved") { return TestHub.content(request, PullTests.weights, isLarge: true) }
            let target = isRelative ? "/moved/model.safetensors" : other.address + "/cdn/x?signature=1"
            return Reply(
                status: 302,
                fields: [
                    "Location": target, "X-Linked-Etag": "\"\(TestHub.sha256(PullTests.weights))\"",
                    "X-Linked-Size": "\(PullTests.weights.count)", "X-Repo-Commit": TestHub.commit,
                ])
        }
        try TestData.withTemporaryFolder { folder in
            let snapshot = try PullTests.pull(hub, into: folder) { $0.token = "hf_secret" }.folder
            try PullTests.expectWhole(snapshot)
            #expect(hub.server.requests.allSatisfy { $0.fields["authorization"] == "Bearer hf_secret" })
            #expect(other.requests.isEmpty == isRelative)
            #expect(other.requests.allSatisfy { $0.fields["authorization"] == nil })
            // What was redirected once is asked at once.
            #expect(isRelative || hub.contentRequests.filter(isWeights).count <= 4)
        }
    }

    /// Addresses that are good for some time only.
    @Test func addressesExpire() throws {
        let counter = Counter()
        let other = try LoopbackServer { request in
            guard counter.next() % 3 != 2 else { return Reply(status: 403) }
            return TestHub.content(request, PullTests.weights, isLarge: true)
        }
        defer { other.stop() }
        let hub = try PullTests.hub { request in
            guard isWeights(request) else { return nil }
            return Reply(status: 307, fields: ["Location": other.address + "/x"])
        }
        try TestData.withTemporaryFolder { folder in
            let snapshot = try PullTests.pull(hub, into: folder) { $0.transfer.connections = 1 }.folder
            try PullTests.expectWhole(snapshot)
        }
    }

    @Test func redirectionsWithoutEnd() throws {
        let counter = Counter()
        let failure = try failure { _ in Reply(status: 302, fields: ["Location": "/again"]) }
        #expect(failure.message == "is redirected more than 10 times")
        let elsewhere = try self.failure { _ in Reply(status: 302, fields: ["Location": "file:///etc/passwd"]) }
        #expect(elsewhere.message.contains("which is not safe"))
        _ = counter
    }

    // MARK: Refusals

    @Test(
        arguments: [
            (401, nil, nil, "is not on the hub", "HF_TOKEN"),
            (401, nil, "hf_x", "does not take the token", "/settings/tokens"),
            (403, "GatedRepo", "hf_x", "is gated", "accept the licence at http://127.0.0.1"),
            (401, "GatedRepo", nil, "is gated", "accept the licence at http://127.0.0.1"),
            (403, nil, "hf_x", "the hub refuses it: because", "right to read"),
            (404, "RepoNotFound", nil, "is not on the hub", "check the name"),
        ] as [(Int, String?, String?, String, String)])
    func refusals(status: Int, code: String?, token: String?, message: String, remedy: String) throws {
        let failure = try failure(settings: { $0.token = token }) { _ in
            var reply = Reply.text("{\"error\":\"because\"}", status: status)
            reply.fields["X-Error-Code"] = code
            return reply
        }
        #expect(failure.message.contains(message) && failure.remedy?.contains(remedy) == true, "\(failure)")
        #expect(failure.place == TestHub.repository)
    }

    @Test func unknownNames() throws {
        let revision = try failure("@v2") { _ in nil }
        #expect(revision.message == "has no revision 'v2'" && revision.remedy == "did you mean v1? it has main, v1")
        let pattern = try failure(selection: FileSelection(include: ["modle.safetensors"])) { _ in nil }
        #expect(pattern.message == "has no file like 'modle.safetensors'")
        #expect(pattern.remedy?.hasPrefix("did you mean model.safetensors?") == true)
        let file = try failure { request in
            isWeights(request) ? Reply(status: 404, fields: ["X-Error-Code": "EntryNotFound"]) : nil
        }
        #expect(file.message == "has no file 'model.safetensors'")
    }

    // MARK: What passes

    /// The hub asks to wait, has no time, fails, or cuts the connection; each time the work goes on.
    @Test(arguments: [429, 503, 500, 408]) func failuresThatPass(status: Int) throws {
        let counter = Counter()
        let waited = Mutex<[Duration]>([])
        let hub = try PullTests.hub { _ in
            guard counter.next() % 2 == 0 else { return nil }
            return Reply(status: status, fields: ["Retry-After": "7"])
        }
        try TestData.withTemporaryFolder { folder in
            let (snapshot, notices) = try PullTests.pull(hub, into: folder) { settings in
                settings.transfer.sleep = { pause in waited.withLock { $0.append(pause) } }
            }
            try PullTests.expectWhole(snapshot)
            #expect(!notices.isEmpty && notices.allSatisfy { $0.hasSuffix("trying again in 7 s") })
            #expect(waited.withLock { $0 }.allSatisfy { $0 == .seconds(7) })
        }
    }

    @Test func patienceEnds() throws {
        let tooLong = try failure { _ in Reply(status: 429, fields: ["Retry-After": "3600"]) }
        #expect(tooLong.message == "too many requests, says the hub, given up after waiting 0 s")
        let waited = Mutex(Duration.zero)
        let tooOften = try failure(settings: { $0.transfer.sleep = { pause in waited.withLock { $0 += pause } } }) {
            _ in
            Reply(status: 503)
        }
        #expect(tooOften.message == "the hub has no time, given up after 6 attempts")
        // 1, 2, 4, 8 and 16 seconds.
        #expect(waited.withLock { $0 } == .seconds(31))
        let past = HTTPDates.head(retryAfter: "Wed, 21 Oct 2015 07:28:00 GMT")
        #expect(past?.retryAfter == .zero)
    }

    @Test(arguments: [1, 137, 999]) func cutConnections(count: Int) throws {
        let counter = Counter()
        let hub = try PullTests.hub { request in
            guard isWeights(request), counter.next() % 3 != 2 else { return nil }
            var reply = TestHub.content(request, PullTests.weights, isLarge: true)
            reply.cut = count
            return reply
        }
        try TestData.withTemporaryFolder { folder in
            try PullTests.expectWhole(PullTests.pull(hub, into: folder).folder)
            // From where it was cut, and not from the beginning of the part.
            let starts = hub.contentRequests.filter(isWeights).compactMap(\.range?.lowerBound)
            #expect(starts.contains { $0 % 1000 == count })
        }
    }

    @Test func silence() throws {
        let failure = try failure(settings: { settings in
            (settings.transfer.timeout, settings.transfer.attempts) = (1, 1)
        }) { _ in Reply(pause: 3) }
        #expect(failure.message == "gives no answer within 1 s, given up after 1 attempts")
    }

    @Test func noHub() throws {
        let hub = try PullTests.hub()
        hub.server.stop()
        try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) {
                try PullTests.pull(hub, into: folder) { $0.transfer.attempts = 2 }
            }
            #expect(failure?.place == "127.0.0.1" && failure?.remedy?.contains("HF_HUB_OFFLINE") == true)
            #expect(failure?.message.contains("given up after 2 attempts") == true)
        }
    }

    // MARK: What is wrong

    /// A server that knows no ranges sends the whole file once.
    @Test func noRanges() throws {
        let hub = try PullTests.hub { request in
            guard isWeights(request) else { return nil }
            return Reply(fields: ["ETag": "\"\(TestHub.sha256(PullTests.weights))\""], body: PullTests.weights)
        }
        try TestData.withTemporaryFolder { folder in
            try PullTests.expectWhole(PullTests.pull(hub, into: folder).folder)
        }
    }

    @Test func noRangesAndCut() throws {
        let counter = Counter()
        let hub = try PullTests.hub { request in
            guard isWeights(request) else { return nil }
            return Reply(body: PullTests.weights, cut: counter.next() < 4 ? 3500 : nil)
        }
        try TestData.withTemporaryFolder { folder in
            try PullTests.expectWhole(PullTests.pull(hub, into: folder).folder)
        }
    }

    @Test func wrongSums() throws {
        for name in ["model.safetensors", "config.json"] {
            let hub = try PullTests.hub { request in
                guard request.method == "GET", request.path.hasSuffix("/\(name)"), request.path.contains("resolve"),
                    !request.path.contains("Pooling")
                else { return nil }
                var bytes = PullTests.files[name] ?? []
                bytes[1] ^= 1
                return TestHub.content(request, bytes)
            }
            try TestData.withTemporaryFolder { folder in
                let failure = #expect(throws: PithError.self) { try PullTests.pull(hub, into: folder) }
                #expect(failure?.place == name && failure?.message.contains("does not add up") == true)
                #expect(failure?.remedy == "it was deleted; pull again")
                let blobs = try Files.names(in: joinPath(folder, "models--some--model/blobs"))
                let bytes = PullTests.files[name] ?? []
                #expect(!blobs.contains { $0.hasPrefix(TestHub.sha256(bytes)) || $0.hasPrefix(TestHub.gitSum(bytes)) })
            }
        }
    }

    /// More bytes than asked for, fewer, others, or of another whole.
    @Test(
        arguments: [
            ("bytes 0-998/12345", nil), ("bytes 0-99/12345", nil), ("bytes 1-1000/12345", nil),
            ("bytes 0-999/12346", nil),
            ("nonsense", nil), ("", nil), ("bytes 0-999/12345", 999), ("bytes 0-5000/12345", nil),
        ] as [(String, Int?)])
    func wrongRanges(range: String, length: Int?) throws {
        let failure = try failure { request in
            guard isWeights(request), request.range?.lowerBound == 0 else { return nil }
            var reply = TestHub.content(request, PullTests.weights, isLarge: true)
            reply.fields["Content-Range"] = range
            reply.length = length
            return reply
        }
        #expect(failure.message.hasPrefix("the hub sends other bytes than were asked for"), "\(failure)")
    }

    @Test func wrongSizes() throws {
        let long = try failure { request in
            guard isWeights(request) else { return nil }
            return Reply(body: PullTests.weights + [0])
        }
        #expect(long.message == "the hub sends 12346 bytes where its listing says 12345")
        let endless = try failure { request in
            guard isWeights(request) else { return nil }
            return Reply(body: PullTests.weights + [0], length: -1)
        }
        #expect(endless.message == "the hub sends more than 12345 bytes")
        let head = try failure { request in
            guard request.method == "HEAD", request.path.hasSuffix("model.safetensors") else { return nil }
            return Reply(fields: ["X-Linked-Size": "12", "X-Linked-Etag": "\"abc\""])
        }
        #expect(head.message == "the hub says two sizes: 12 and, in its listing, 12345 bytes")
        let commit = try failure { request in
            guard request.method == "HEAD" else { return nil }
            return Reply(fields: ["X-Repo-Commit": String(repeating: "b", count: 40)])
        }
        #expect(commit.message.hasPrefix("the hub answers for commit bbbb"))
    }

    /// The bytes of two versions never meet in one file.
    @Test func versionsChange() throws {
        let counter = Counter()
        let other = PullTests.weights.map { $0 ^ 0xFF }
        let hub = try PullTests.hub { request in
            guard isWeights(request), counter.next() < 3 else { return nil }
            return TestHub.content(request, other, isLarge: true)
        }
        try TestData.withTemporaryFolder { folder in
            let (snapshot, notices) = try PullTests.pull(hub, into: folder) { $0.transfer.connections = 1 }
            try PullTests.expectWhole(snapshot)
            #expect(notices == ["the hub has another version of a file now; it is fetched anew"])
        }
    }
}

/// Heads as a server would send them.
enum HTTPDates {
    static func head(retryAfter: String) -> HTTPHead? {
        guard let url = URL(string: "http://127.0.0.1/") else { return nil }
        return HTTPHead(url, status: 429, fields: ["retry-after": retryAfter])
    }
}
