import Foundation
import PithCore
import PithFormats
import PithHub
import Synchronization

/// A hub with one repository, `some/model`, which may be told to misbehave.
public final class TestHub: Sendable {
    /// Its one repository.
    public static let repository = "some/model"
    /// The commit of all its revisions.
    public static let commit = String(repeating: "a1", count: 20)

    /// What happens to a request in place of what should; nil where nothing does.
    public typealias Trick = @Sendable (LoopbackServer.Request) -> LoopbackServer.Reply?

    /// What listens.
    public let server: LoopbackServer

    /// A hub of these files, of which those named in `large` are kept elsewhere, as by LFS.
    public init(_ files: [String: [UInt8]], large: Set<String> = [], trick: @escaping Trick = { _ in nil }) throws {
        server = try LoopbackServer { request in
            trick(request) ?? Self.answer(request, files, large)
        }
    }

    deinit { server.stop() }

    /// Settings to ask this hub, with the cache in `folder`, that wait for nothing.
    public func settings(cache folder: String, _ change: (inout HubSettings) -> Void = { _ in }) throws -> HubSettings {
        var settings = try HubSettings(environment: ["HF_ENDPOINT": server.address, "HF_HUB_CACHE": folder])
        settings.transfer.partSize = 1000
        settings.transfer.timeout = 5
        settings.transfer.sleep = { _ in }
        change(&settings)
        return settings
    }

    /// The requests for contents, and not for lists and heads.
    public var contentRequests: [LoopbackServer.Request] {
        server.requests.filter { $0.method == "GET" && $0.path.contains("/resolve/") }
    }

    // MARK: What a hub should do

    /// The answer to a request as it should be.
    public static func answer(
        _ request: LoopbackServer.Request, _ files: [String: [UInt8]], _ large: Set<String>
    ) -> LoopbackServer.Reply {
        let resolve = "/\(repository)/resolve/"
        switch request.path {
        case "/api/models/\(repository)/revision/main", "/api/models/\(repository)/revision/v1",
            "/api/models/\(repository)/revision/\(commit)", "/api/models/\(repository)/revision/refs%2Fpr%2F1":
            return .text(revision(files.keys.sorted()))
        case "/api/models/\(repository)/tree/\(commit)": return .text(tree(files, large))
        case "/api/models/\(repository)/refs":
            return .text("{\"branches\":[{\"name\":\"main\"}],\"tags\":[{\"name\":\"v1\"}]}")
        case let path where path.hasPrefix("/api/models/\(repository)/revision/"):
            var reply = LoopbackServer.Reply.text("{\"error\":\"Invalid rev id\"}", status: 404)
            reply.fields["X-Error-Code"] = "RevisionNotFound"
            return reply
        case let path where path.hasPrefix(resolve):
            let name = path.dropFirst(resolve.count).drop { $0 != "/" }.dropFirst().removingPercentEncoding ?? ""
            guard let bytes = files[name] else {
                return LoopbackServer.Reply(status: 404, fields: ["X-Error-Code": "EntryNotFound"])
            }
            return content(request, bytes, isLarge: large.contains(name))
        default: return .text("{\"error\":\"Repository not found\"}", status: 401)
        }
    }

    /// What a hub says of a revision.
    public static func revision(_ names: [String]) -> String {
        let siblings = names.map { "{\"rfilename\":\(JSONValue.string($0).compactText)}" }.joined(separator: ",")
        return "{\"id\":\"\(repository)\",\"sha\":\"\(commit)\",\"siblings\":[\(siblings)]}"
    }

    /// What a hub lists.
    public static func tree(_ files: [String: [UInt8]], _ large: Set<String>) -> String {
        let entries = files.sorted { $0.key < $1.key }.map { path, bytes in
            let name = JSONValue.string(path).compactText
            let oid = "\"oid\":\"\(gitSum(bytes))\",\"size\":\(bytes.count),\"path\":\(name)"
            let lfs =
                large.contains(path)
                ? ",\"lfs\":{\"oid\":\"\(sha256(bytes))\",\"size\":\(bytes.count),\"pointerSize\":130}" : ""
            return "{\"type\":\"file\",\(oid)\(lfs)}"
        }
        return "["
            + (["{\"type\":\"directory\",\"oid\":\"x\",\"size\":0,\"path\":\"d\"}"] + entries).joined(separator: ",")
            + "]"
    }

    /// A content, or the range of it that is asked for.
    public static func content(
        _ request: LoopbackServer.Request, _ bytes: [UInt8], isLarge: Bool = false
    ) -> LoopbackServer.Reply {
        let tag = isLarge ? sha256(bytes) : gitSum(bytes)
        var reply = LoopbackServer.Reply(
            fields: ["X-Repo-Commit": commit, "ETag": "\"\(tag)\"", "Accept-Ranges": "bytes"], body: bytes)
        let isSame = request.fields["if-range"].map { $0 == "\"\(tag)\"" } ?? true
        if let range = request.range, range.upperBound < bytes.count, isSame {
            reply.status = 206
            reply.body = Array(bytes[range])
            reply.fields["Content-Range"] = "bytes \(range.lowerBound)-\(range.upperBound)/\(bytes.count)"
        }
        return reply
    }

    /// Git's name of a file.
    public static func gitSum(_ bytes: [UInt8]) -> String {
        var digest = SHA1()
        (Array("blob \(bytes.count)\0".utf8) + bytes).withUnsafeBytes { digest.update($0) }
        return digest.hexDigest()
    }

    /// SHA-256 of bytes.
    public static func sha256(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { SHA256.hexDigest(of: $0) } }
}
