import Foundation
import Synchronization

/// A web server on loopback: a thread for each connection, and whatever `answer` makes of a request.
public final class LoopbackServer: Sendable {
    /// What came.
    public struct Request: Sendable {
        /// `GET` or `HEAD`.
        public var method: String
        /// The path with its query.
        public var target: String
        /// By names in small letters.
        public var fields: [String: String]

        /// The target without its query.
        public var path: String { String(target.prefix { $0 != "?" }) }

        /// The first and last byte that are asked for.
        public var range: ClosedRange<Int>? {
            guard let text = fields["range"], text.hasPrefix("bytes=") else { return nil }
            let ends = text.dropFirst(6).split(separator: "-").compactMap { Int($0) }
            return ends.count == 2 ? ends[0]...ends[1] : nil
        }
    }

    /// What goes back.
    public struct Reply: Sendable {
        /// The status.
        public var status = 200
        /// Names and values.
        public var fields: [String: String] = [:]
        /// What follows the head.
        public var body: [UInt8] = []
        /// What `Content-Length` says if not the truth; below zero for none.
        public var length: Int?
        /// The connection is cut after so many bytes of the body.
        public var cut: Int?
        /// The seconds before anything is sent.
        public var pause = 0.0

        /// An answer; what is not said is as usual.
        public init(
            status: Int = 200, fields: [String: String] = [:], body: [UInt8] = [], length: Int? = nil, cut: Int? = nil,
            pause: Double = 0
        ) {
            (self.status, self.fields, self.body) = (status, fields, body)
            (self.length, self.cut, self.pause) = (length, cut, pause)
        }

        /// An answer of text.
        public static func text(_ text: String, type: String = "application/json", status: Int = 200) -> Reply {
            Reply(status: status, fields: ["Content-Type": type], body: Array(text.utf8))
        }
    }

    /// Its address, such as `http://127.0.0.1:4711`.
    public let address: String
    private let socket: Int32
    private let answer: @Sendable (Request) -> Reply
    private let connections = Mutex<Set<Int32>>([])
    private let log = Mutex<[Request]>([])

    /// Begins to listen.
    public init(_ answer: @escaping @Sendable (Request) -> Reply) throws {
        self.answer = answer
        #if canImport(Darwin)
            socket = Foundation.socket(AF_INET, SOCK_STREAM, 0)
        #else
            socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = socket
        let isBound = withUnsafeMutablePointer(to: &place) { place in
            place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(socket, place, size) == 0 && listen(socket, 64) == 0 && getsockname(socket, place, &size) == 0
            }
        }
        guard isBound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        address = "http://127.0.0.1:\(UInt16(bigEndian: place.sin_port))"
        Thread.detachNewThread { [self] in accept() }
    }

    /// All requests so far.
    public var requests: [Request] { log.withLock { $0 } }

    /// Forgets the requests so far.
    public func clearLog() { log.withLock { $0 = [] } }

    /// Closes all connections.
    public func stop() {
        shutdown(socket, Int32(SHUT_RDWR))
        connections.withLock { for connection in $0 { shutdown(connection, Int32(SHUT_RDWR)) } }
    }

    private func accept() {
        while true {
            let connection = Foundation.accept(socket, nil, nil)
            guard connection >= 0 else { break }
            #if canImport(Darwin)
                var on: Int32 = 1
                setsockopt(connection, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
            #endif
            connections.withLock { _ = $0.insert(connection) }
            Thread.detachNewThread { [self] in serve(connection) }
        }
        close(socket)
    }

    private func serve(_ connection: Int32) {
        var pending: [UInt8] = []
        while let request = read(connection, &pending) {
            log.withLock { $0.append(request) }
            let reply = answer(request)
            if reply.pause > 0 { Thread.sleep(forTimeInterval: reply.pause) }
            guard send(reply, to: request, connection) else { break }
        }
        connections.withLock { _ = $0.remove(connection) }
        close(connection)
    }

    private func read(_ connection: Int32, _ pending: inout [UInt8]) -> Request? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = pending.firstRange(of: end) {
                let lines = String(decoding: pending[..<range.lowerBound], as: UTF8.self).components(
                    separatedBy: "\r\n")
                pending.removeSubrange(..<range.upperBound)
                let words = lines[0].split(separator: " ").map(String.init)
                guard words.count == 3 else { return nil }
                var fields: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    guard parts.count == 2 else { continue }
                    fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
                }
                return Request(method: words[0], target: words[1], fields: fields)
            }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            pending += buffer[..<count]
        }
    }

    /// Whether the connection may be used again.
    private func send(_ reply: Reply, to request: Request, _ connection: Int32) -> Bool {
        let length = reply.length ?? reply.body.count
        var head = "HTTP/1.1 \(reply.status) OK\r\n"
        for (name, value) in reply.fields { head += "\(name): \(value)\r\n" }
        if length >= 0 { head += "Content-Length: \(length)\r\n" }
        let isLast = reply.cut != nil || length != reply.body.count
        if isLast { head += "Connection: close\r\n" }
        guard send(Array((head + "\r\n").utf8)[...], connection) else { return false }
        guard request.method != "HEAD" else { return !isLast }
        return send(reply.body.prefix(reply.cut ?? .max), connection) && !isLast
    }

    private func send(_ bytes: ArraySlice<UInt8>, _ connection: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            #if canImport(Darwin)
                let flags: Int32 = 0
            #else
                let flags = Int32(MSG_NOSIGNAL)
            #endif
            let sent = rest.withUnsafeBytes { Foundation.send(connection, $0.baseAddress, $0.count, flags) }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }
}
