import Foundation
import PithCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What stands before the body of an answer.
package struct HTTPHead: Sendable {
    /// The status, such as 200.
    let status: Int
    /// Who answered.
    let url: URL
    private let fields: [String: String]

    init?(_ response: URLResponse?) {
        guard let response = response as? HTTPURLResponse, let url = response.url else { return nil }
        var fields: [String: String] = [:]
        for (name, value) in response.allHeaderFields {
            if let name = name as? String { fields[name.lowercased()] = "\(value)" }
        }
        self.init(url, status: response.statusCode, fields: fields)
    }

    /// A head whose names of fields are in small letters.
    package init(_ url: URL, status: Int, fields: [String: String]) {
        (self.url, self.status, self.fields) = (url, status, fields)
    }

    /// The value of a field, whatever the case of its name.
    subscript(_ name: String) -> String? { fields[name.lowercased()] }

    /// Whether there is a body that was asked for.
    var isSuccess: Bool { (200..<300).contains(status) }

    /// Where the answer points instead; nil if it is none that points.
    var location: URL? {
        guard [301, 302, 303, 307, 308].contains(status) else { return nil }
        return self["Location"].flatMap { URL(string: $0, relativeTo: url)?.absoluteURL }
    }

    /// Bytes of the body.
    var contentLength: Int? { self["Content-Length"].flatMap { Int($0) } }

    /// What names this version of the content, without the quotes; nil also for weak ones, which name no bytes.
    var strongTag: String? {
        guard let tag = self["ETag"], !tag.hasPrefix("W/") else { return nil }
        return Self.unquoted(tag)
    }

    /// An entity tag without quotes and mark of weakness, as `huggingface_hub` names files after it.
    static func unquoted(_ tag: String) -> String {
        let body = tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]
        return body.trimmingCharacters(in: CharacterSet(charactersIn: "\""))
    }

    /// The first and last byte that follow and the size of the whole, as `Content-Range` says.
    var contentRange: (first: Int, last: Int, total: Int?)? {
        guard let text = self["Content-Range"], text.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/")
        let ends = parts.first?.split(separator: "-").map { Int($0) } ?? []
        guard parts.count == 2, ends.count == 2, let first = ends[0], let last = ends[1] else { return nil }
        return (first, last, Int(parts[1]))
    }

    /// How long the hub asks to wait: seconds, or a date.
    package var retryAfter: Duration? {
        guard let text = self["Retry-After"] else { return nil }
        if let seconds = Int(text) { return .seconds(min(max(0, seconds), 1 << 30)) }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: text).map { .seconds(min(max(0, $0.timeIntervalSinceNow), 0x1p30)) }
    }
}

/// Takes the body of an answer as it comes.
protocol BodySink: Sendable {
    /// Is told what stands before the body; throws if that is not wanted.
    func begin(_ head: HTTPHead) throws(PithError)
    /// Takes the next bytes.
    func take(_ bytes: UnsafeRawBufferPointer) throws(PithError)
}

/// How a request ended.
struct HTTPAnswer: Sendable {
    /// What stands before the body; nil if no answer came.
    var head: HTTPHead?
    /// Why the answer is not whole; nil if it is.
    var interruption: URLError?
    /// The beginning of a body that says what is wrong.
    var complaint: [UInt8] = []
}
