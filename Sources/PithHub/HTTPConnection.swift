import Foundation
import PithCore
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Sends requests one after the other and waits for the answers. It follows no redirection and keeps nothing.
final class HTTPConnection: Sendable {
    private let exchange = Exchange()
    private let session: URLSession

    /// A connection that is given up after `timeout` seconds without a byte.
    init(timeout: Int) {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = TimeInterval(timeout)
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        configuration.urlCredentialStorage = nil
        session = URLSession(configuration: configuration, delegate: exchange, delegateQueue: Self.queue)
    }

    private static var queue: OperationQueue? {
        #if canImport(FoundationNetworking)
            InlineQueue()
        #else
            nil
        #endif
    }

    deinit { session.invalidateAndCancel() }

    /// Sends a request and waits for the end of the answer; the body of one that succeeded goes to `sink`.
    ///
    /// Throws what `sink` throws; that the hub cannot be reached or the answer is cut is told in the answer.
    func send(_ request: URLRequest, into sink: any BodySink) throws(PithError) -> HTTPAnswer {
        let task = session.dataTask(with: request)
        exchange.begin(sink)
        task.resume()
        return try exchange.end()
    }
}

#if canImport(FoundationNetworking)
    /// Runs what is added at once, on the thread that adds it: outside of macOS `URLSession` would otherwise receive
    /// faster than the disk writes, and keep what it received in memory.
    private final class InlineQueue: OperationQueue, @unchecked Sendable {
        override init() {
            super.init()
            maxConcurrentOperationCount = 1
        }

        override func addOperation(_ block: @escaping @Sendable () -> Void) { block() }
    }
#endif

/// The request that a connection works on.
private final class Exchange: NSObject, URLSessionDataDelegate, Sendable {
    private struct State {
        var sink: (any BodySink)?
        var answer = HTTPAnswer()
        var refusal: PithError?
    }
    /// So much of what a hub says about an error is read.
    private static let complaintLimit = 1 << 14

    private let state = Mutex(State())
    private let done = DispatchSemaphore(value: 0)

    func begin(_ sink: any BodySink) { state.withLock { $0 = State(sink: sink) } }

    func end() throws(PithError) -> HTTPAnswer {
        done.wait()
        let (answer, refusal) = state.withLock { state in
            state.sink = nil
            return (state.answer, state.refusal)
        }
        if let refusal { throw refusal }
        return answer
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        let isWanted = state.withLock { state in
            guard let head = HTTPHead(response) else { return true }
            state.answer.head = head
            guard head.isSuccess else { return true }
            do throws(PithError) { try state.sink?.begin(head) } catch { state.refusal = error }
            return state.refusal == nil
        }
        // Not every system heeds the answer.
        if !isWanted { cancel(dataTask) }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let isWanted = state.withLock { state in
            guard state.refusal == nil, let head = state.answer.head else { return state.refusal == nil }
            guard head.isSuccess else {
                let room = Self.complaintLimit - state.answer.complaint.count
                state.answer.complaint += data.prefix(room)
                return data.count <= room
            }
            do throws(PithError) {
                let result = data.withUnsafeBytes { bytes in
                    Result { () throws(PithError) in try state.sink?.take(bytes) }
                }
                try result.get()
            } catch { state.refusal = error }
            return state.refusal == nil
        }
        if !isWanted { cancel(dataTask) }
    }

    /// Ends a task from elsewhere: it waits for the queue that calls this.
    private func cancel(_ task: URLSessionTask) { DispatchQueue.global().async { task.cancel() } }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) { completionHandler(nil) }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let response = task.response
        state.withLock { state in
            state.answer.head = state.answer.head ?? HTTPHead(response)
            if let error { state.answer.interruption = error as? URLError ?? URLError(.unknown) }
        }
        done.signal()
    }
}
