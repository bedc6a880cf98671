import Foundation
import PithCore
import PithFormats
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Asks a hub: follows its redirections, tells the token to none but it, and tries again where that may help.
struct HubClient: Sendable {
    let settings: HubSettings
    let report: @Sendable (HubEvent) -> Void
    private let connection: HTTPConnection
    private let origin: Origin

    private static let redirectionLimit = 10
    /// Bytes of a document.
    private static let documentLimit = 8 << 20

    init(_ settings: HubSettings, report: @escaping @Sendable (HubEvent) -> Void) throws(PithError) {
        (self.settings, self.report) = (settings, report)
        connection = HTTPConnection(timeout: settings.transfer.timeout)
        guard let url = URL(string: settings.endpoint), let origin = Origin(url) else {
            throw .usage("is no address of a hub", at: settings.endpoint.printable)
        }
        self.origin = origin
    }

    // MARK: Addresses

    /// The hub's address of `path`, in which all but slashes and unreserved characters is escaped already.
    func url(_ path: String) throws(PithError) -> URL {
        guard let url = URL(string: settings.endpoint + path) else {
            throw .usage("is no address", at: settings.endpoint + path)
        }
        return url
    }

    /// Whether the hub itself, and no other, is at an address.
    func isHub(_ url: URL) -> Bool { Origin(url) == origin }

    // MARK: Requests

    /// Sends a request and follows redirections, none of which leads to an address without encryption from one with it.
    ///
    /// With `stayingAtHub` the answer is the redirection that leads elsewhere.
    func send(
        _ method: String, _ url: URL, fields: [String: String] = [:], stayingAtHub: Bool = false,
        into sink: any BodySink
    ) throws(PithError) -> HTTPAnswer {
        var url = url
        for _ in 0...Self.redirectionLimit {
            let answer = try connection.send(request(method, url, fields), into: sink)
            guard let target = answer.head?.location else { return answer }
            guard let scheme = target.scheme?.lowercased(), scheme == "https" || scheme == "http",
                scheme == "https" || url.scheme?.lowercased() != "https", Origin(target) != nil
            else {
                throw .data(
                    "is redirected to \(target.absoluteString.printable.shortened), which is not safe",
                    at: shown(url))
            }
            if stayingAtHub && !isHub(target) { return answer }
            url = target
        }
        throw .data("is redirected more than \(Self.redirectionLimit) times", at: shown(url))
    }

    private func request(_ method: String, _ url: URL, _ fields: [String: String]) -> URLRequest {
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.setValue("pith", forHTTPHeaderField: "User-Agent")
        // Sizes and sums are those of the bytes as they are.
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        for (name, value) in fields { request.setValue(value, forHTTPHeaderField: name) }
        if let token = settings.token, isHub(url) {
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        }
        return request
    }

    /// The head of an answer that succeeded, or redirects elsewhere; tries again where that may help.
    func head(of url: URL, about question: HubQuestion) throws(PithError) -> HTTPHead {
        try answer("HEAD", url, about: question, stayingAtHub: true) { IgnoredBody() }.head
    }

    /// A document in JSON, and where the next page of it is. `explain` makes the error of a failure.
    func document(
        at url: URL, about question: HubQuestion, explain: (HubFailure) -> PithError = \.error
    ) throws(PithError) -> (JSONReader, next: URL?) {
        let (head, body) = try answer("GET", url, about: question, explain: explain) {
            CollectedBody(limit: Self.documentLimit, place: shown(url))
        }
        let type = head["Content-Type"] ?? "no type"
        guard type.lowercased().contains("json") else {
            throw .data(
                "answers with \(type.printable.shortened) instead of JSON", at: shown(url),
                remedy: "is \(settings.endpoint) a hub? HF_ENDPOINT says which one is asked")
        }
        do {
            return (
                JSONReader(try JSONValue(parsing: body.bytes)), head["Link"].flatMap { Self.next(in: $0, at: head.url) }
            )
        } catch { throw error.within(shown(url)) }
    }

    private func answer<Body: BodySink>(
        _ method: String, _ url: URL, about question: HubQuestion, stayingAtHub: Bool = false,
        explain: (HubFailure) -> PithError = \.error, _ makeSink: () -> Body
    ) throws(PithError) -> (head: HTTPHead, body: Body) {
        var patience = Patience(settings.transfer)
        while true {
            let sink = makeSink()
            let answer = try send(method, url, stayingAtHub: stayingAtHub, into: sink)
            if let head = answer.head, answer.interruption == nil, head.isSuccess || head.location != nil {
                return (head, sink)
            }
            let failure = failure(answer, url, about: question)
            guard failure.isPassing else { throw explain(failure) }
            try patience.wait(after: failure.error, asked: failure.pause, report)
        }
    }

    /// The address of relation `next` in a `Link` field.
    private static func next(in link: String, at url: URL) -> URL? {
        for part in link.split(separator: ",") where part.contains("rel=\"next\"") || part.contains("rel=next") {
            guard let start = part.firstIndex(of: "<"), let end = part.firstIndex(of: ">"), start < end else {
                continue
            }
            return URL(string: String(part[part.index(after: start)..<end]), relativeTo: url)?.absoluteURL
        }
        return nil
    }

    /// An address for people, without what may be secret.
    func shown(_ url: URL) -> String {
        var parts = URLComponents()
        (parts.scheme, parts.host, parts.port, parts.path) = (url.scheme, url.host, url.port, url.path)
        return (parts.string ?? url.host ?? "").printable
    }
}

/// Who answers at an address.
private struct Origin: Equatable, Sendable {
    let scheme: String
    let host: String
    let port: Int

    init?(_ url: URL) {
        guard let scheme = url.scheme?.lowercased(), let host = url.host?.lowercased(), !host.isEmpty else {
            return nil
        }
        (self.scheme, self.host, port) = (scheme, host, url.port ?? (scheme == "https" ? 443 : 80))
    }
}

/// A body that is of no use.
private struct IgnoredBody: BodySink {
    func begin(_ head: HTTPHead) {}
    func take(_ bytes: UnsafeRawBufferPointer) {}
}

/// A body in memory, up to a limit.
private final class CollectedBody: BodySink {
    private let content = Mutex<[UInt8]>([])
    private let limit: Int
    private let place: String

    init(limit: Int, place: String) { (self.limit, self.place) = (limit, place) }

    var bytes: [UInt8] { content.withLock { $0 } }

    func begin(_ head: HTTPHead) throws(PithError) {
        if let length = head.contentLength, length > limit { throw tooLong }
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        let isTooLong = content.withLock { content in
            guard content.count + bytes.count <= limit else { return true }
            content += bytes
            return false
        }
        if isTooLong { throw tooLong }
    }

    private var tooLong: PithError { .data("answers with more than \(ByteCount(limit))", at: place) }
}
