import Foundation
import PithCore

/// Where a hub is, who asks it, and where its files are kept.
public struct HubSettings: Sendable {
    /// The hub's address, without a slash at its end.
    public var endpoint: String
    /// What proves to the hub who asks; told to the endpoint alone.
    public var token: String?
    /// Whether nothing but the cache is asked.
    public var isOffline: Bool
    /// The folder that files are kept in, laid out as `huggingface_hub` does.
    public var cache: String
    /// How files are fetched.
    public var transfer = TransferSettings()

    /// The settings of `huggingface_hub`: `HF_ENDPOINT`, `HF_TOKEN` or the file at `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`,
    /// and `HF_HUB_CACHE` or `HF_HOME`. Throws where one of them makes no sense.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(PithError) {
        let variables = Variables(environment)
        cache = Self.cacheFolder(environment: environment)
        isOffline = ["1", "ON", "YES", "TRUE"].contains(variables["HF_HUB_OFFLINE"]?.uppercased() ?? "")
        endpoint = try Self.checkedEndpoint(variables["HF_ENDPOINT"] ?? "https://huggingface.co")
        let tokenPath = variables.path("HF_TOKEN_PATH") ?? joinPath(variables.home, "token")
        token = try Self.checkedToken(variables["HF_TOKEN"], at: "HF_TOKEN")
        if token == nil, Files.exists(tokenPath) {
            token = try Self.checkedToken(try Files.text(tokenPath), at: tokenPath)
        }
    }

    /// The folder that files of hubs are kept in: `HF_HUB_CACHE`, else the folder `hub` in `HF_HOME`.
    public static func cacheFolder(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> String {
        let variables = Variables(environment)
        return variables.path("HF_HUB_CACHE") ?? joinPath(variables.home, "hub")
    }

    private static func checkedEndpoint(_ text: String) throws(PithError) -> String {
        let trimmed = String(text.trimmingSuffix { $0 == "/" })
        guard let url = URL(string: trimmed), let scheme = url.scheme, ["http", "https"].contains(scheme.lowercased()),
            url.host?.isEmpty == false, url.query == nil, url.fragment == nil, url.user == nil
        else {
            throw .usage(
                "is no address of a hub", at: "HF_ENDPOINT \(text.printable)",
                remedy: "it should be like https://huggingface.co")
        }
        return trimmed
    }

    private static func checkedToken(_ text: String?, at place: String) throws(PithError) -> String? {
        guard let token = text?.trimmingCharacters(in: .whitespacesAndNewlines), !token.isEmpty else { return nil }
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .usage("holds no token", at: place, remedy: "a token is one word, such as hf_…")
        }
        return token
    }
}

/// The variables of `huggingface_hub`.
private struct Variables {
    private let environment: [String: String]

    init(_ environment: [String: String]) { self.environment = environment }

    /// A variable; nil if it is not set, or to nothing.
    subscript(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A variable that names a path, in which `~` is the user's folder.
    func path(_ name: String) -> String? { self[name].map(expanded) }

    /// The folder of all that belongs to hubs.
    var home: String {
        path("HF_HOME") ?? joinPath(path("XDG_CACHE_HOME") ?? expanded("~/.cache"), "huggingface")
    }

    private func expanded(_ path: String) -> String {
        guard path == "~" || path.hasPrefix("~/") else { return path }
        return (self["HOME"] ?? NSHomeDirectory()) + path.dropFirst()
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var rest = self[...]
        while let last = rest.last, predicate(last) { rest.removeLast() }
        return rest
    }
}

/// How files are fetched: how many connections, in what parts, and how patiently.
public struct TransferSettings: Sendable {
    /// Connections that work side by side.
    public var connections = 4
    /// Bytes of a part of a file, which is asked for, kept and lost as one.
    public var partSize = 8 << 20
    /// Seconds without a byte after which a connection is given up.
    public var timeout = 30
    /// Attempts that bring nothing before a request is given up.
    public var attempts = 6
    /// How long to wait after the first of them; each further time twice as long.
    public var firstPause = Duration.seconds(1)
    /// How long to wait at most before a request is given up, all waits together.
    public var patience = Duration.seconds(300)
    /// Files that a repository may have.
    public var fileLimit = 100_000
    /// Waits.
    package var sleep: @Sendable (Duration) -> Void = { Thread.sleep(forTimeInterval: $0.seconds) }
    /// The bytes that are free where a folder is; nil where the system does not say.
    package var freeSpace: @Sendable (String) -> ByteCount? = { try? Files.freeSpace(in: $0) }

    /// The usual.
    public init() {}
}
