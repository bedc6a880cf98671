import PithCore
import PithFormats
import PithHub
import PithTestSupport
import Testing

/// Listings that are no listings, or that mean harm.
@Suite struct HostileListingTests {
    typealias Reply = LoopbackServer.Reply

    private func failure(
        settings change: (inout HubSettings) -> Void = { _ in }, _ trick: @escaping TestHub.Trick
    ) throws -> PithError {
        let hub = try PullTests.hub(trick)
        return try TestData.withTemporaryFolder { folder in
            let failure = #expect(throws: PithError.self) { try PullTests.pull(hub, into: folder, "", change) }
            #expect(try Files.names(in: folder).isEmpty)
            return try #require(failure)
        }
    }

    private func listing(_ text: String, settings change: (inout HubSettings) -> Void = { _ in }) throws -> PithError {
        try failure(settings: change) { $0.path.contains("/tree/") ? .text(text) : nil }
    }

    private func entry(_ path: String, _ rest: String = "\"size\":1") -> String {
        "{\"type\":\"file\",\"path\":\(JSONValue.string(path).compactText),\(rest)}"
    }

    @Test(arguments: [
        "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "..", "", "a\u{0}b", "a\nb", "a\u{1B}[2Jb",
        "a\\..\\b", "\u{202E}gnp.json", String(repeating: "a", count: 256), "x/" + String(repeating: "a/", count: 600),
    ])
    func names(_ path: String) throws {
        #expect(try listing("[\(entry(path))]").message.hasPrefix("the name of a file"))
        let names = try failure { request in
            request.path.contains("/revision/") ? .text(TestHub.revision([path])) : nil
        }
        #expect(names.message.hasPrefix("the name of a file"))
    }

    @Test func twice() throws {
        #expect(try listing("[\(entry("a.json")),\(entry("a.json"))]").message == "the hub lists a file twice")
        #expect(try listing("[\(entry("a")),\(entry("a/b"))]").message == "the hub lists a file that is a folder, too")
    }

    @Test(arguments: [
        ("{}", "is an object where an array should be"), ("[1]", "is a number where an object should be"),
        ("[{\"type\":\"file\",\"path\":\"a\"}]", "has no 'size'"),
        ("[{\"type\":\"file\",\"path\":\"a\",\"size\":-1}]", "is -1"),
        ("[{\"type\":\"file\",\"path\":\"a\",\"size\":1e300}]", "where a whole number should be"),
        ("[{\"type\":\"file\",\"path\":\"a\",\"size\":1,\"oid\":\"../../x\"}]", "is no sum of 40 digits"),
        ("[{\"type\":\"file\",\"path\":\"a\",\"size\":1,\"lfs\":{\"oid\":\"00\"}}]", "is no sum of 64 digits"),
        ("[", "not valid JSON"), (String(repeating: "[", count: 5000), "not valid JSON"),
    ])
    func shapes(_ text: String, _ message: String) throws {
        let failure = try listing(text)
        #expect(failure.message.contains(message), "\(failure)")
    }

    @Test func tooMany() throws {
        let entries = (0..<2000).map { entry("\($0)") }.joined(separator: ",")
        let many = try listing("[\(entries)]", settings: { $0.transfer.fileLimit = 1000 })
        #expect(many.message == "the listing has more than 1000 files")
        let endless = try failure { request in
            request.path.contains("/tree/") ? Reply(fields: ["Content-Type": "application/json"], length: 1 << 40) : nil
        }
        #expect(endless.message == "answers with more than 8.39 MB")
        let large = [UInt8](repeating: UInt8(ascii: " "), count: 9 << 20)
        let unsaid = try failure { request in
            guard request.path.contains("/tree/") else { return nil }
            return Reply(fields: ["Content-Type": "application/json"], body: large, length: -1)
        }
        #expect(unsaid.message == "answers with more than 8.39 MB")
    }

    /// Pages are followed, but not in circles and not for ever.
    @Test func pages() throws {
        @Sendable func page(_ names: [String], next: String?) -> Reply {
            var reply = Reply.text("[" + names.map { entry($0, "\"size\":2") }.joined(separator: ",") + "]")
            reply.fields["Link"] = next.map { "<\($0)>; rel=\"next\"" }
            return reply
        }
        let circle = try failure { request in
            request.path.contains("/tree/") ? page(["a"], next: request.target) : nil
        }
        #expect(circle.message == "the pages of the listing lead in a circle")
        let endless = try failure(settings: { $0.transfer.fileLimit = 50 }) { request in
            request.path.contains("/tree/") ? page([], next: request.target + "x") : nil
        }
        #expect(endless.message == "the pages of the listing lead in a circle")
        let hub = try PullTests.hub { request in
            guard request.path.contains("/tree/") else { return nil }
            return request.target.hasSuffix("cursor=2")
                ? page(["config.json"], next: nil) : page([], next: request.path + "?cursor=2")
        }
        try TestData.withTemporaryFolder { folder in
            try PullTests.expectWhole(PullTests.pull(hub, into: folder).folder, ["config.json"])
        }
    }

    @Test func otherAnswers() throws {
        let page = try failure { _ in .text("<html>Log in</html>", type: "text/html; charset=utf-8") }
        #expect(page.message == "answers with text/html; charset=utf-8 instead of JSON")
        #expect(page.remedy?.contains("HF_ENDPOINT") == true)
        let commit = try failure { _ in .text("{\"sha\":\"../../../x\"}") }
        #expect(commit.message == "is no commit" && commit.place == "some/model: key sha")
    }

    /// Tags become names of files, so one that is none gives way.
    @Test func tags() throws {
        let hub = try PullTests.hub { request in
            guard request.method == "HEAD" else { return nil }
            return Reply(fields: ["ETag": "\"../../../../x\"", "X-Repo-Commit": TestHub.commit], length: -1)
        }
        try TestData.withTemporaryFolder { folder in
            try PullTests.expectWhole(PullTests.pull(hub, into: joinPath(folder, "a/b/c/d")).folder)
            #expect(try Files.names(in: folder) == ["a"])
        }
    }

    /// A link that stands where a folder should be is not followed.
    @Test func links() throws {
        let hub = try PullTests.hub()
        try TestData.withTemporaryFolder { folder in
            let cache = joinPath(folder, "cache")
            let snapshot = joinPath(cache, "models--some--model/snapshots/\(TestHub.commit)")
            try Files.makeFolder(snapshot)
            try Files.makeFolder(joinPath(folder, "elsewhere"))
            try FolderHandle(BytePath(snapshot)).makeLink(
                "1_Pooling", to: BytePath(joinPath(folder, "elsewhere")), replacing: false)
            let failure = #expect(throws: PithError.self) { try PullTests.pull(hub, into: cache) }
            #expect(failure?.message == "a link stands there already")
            #expect(try Files.names(in: joinPath(folder, "elsewhere")).isEmpty)
        }
    }
}
