import Foundation
import PithCore
import Synchronization

/// Fetches one part of a file, from where it was cut, until it is there.
struct PartFetcher {
    let client: HubClient
    let download: FileDownload
    let part: Int
    /// Whether the work was given up elsewhere.
    let isStopped: @Sendable () -> Bool
    let question: HubQuestion

    /// Returns false if the server has another version now than that of the parts which are there; these are removed.
    func run() throws(PithError) -> Bool {
        let partial = try download.partial()
        guard part < PartialFile.partCount(partial.size, partial.partSize) else { return true }
        var patience = Patience(client.settings.transfer)
        var position = partial.range(of: part).lowerBound
        while download.needs(part, of: partial) {
            let sink = PartSink(self, partial, from: position)
            let answer: HTTPAnswer
            do throws(PithError) {
                answer = try client.send("GET", download.location, fields: fields(partial, from: position), into: sink)
            } catch {
                switch sink.verdict {
                case .isNeedless: return true
                case .isOtherVersion:
                    partial.discard()
                    return false
                case nil: throw error
                }
            }
            if sink.isWhole {
                if !sink.isStream { try partial.finish(part) }
                noteLocation(answer)
                return true
            }
            if sink.hasProgress {
                patience.noteProgress()
                position = sink.isStream ? position : sink.position
                noteLocation(answer)
            }
            try wait(after: answer, &patience)
        }
        return true
    }

    private func fields(_ partial: PartialFile, from position: Int) -> [String: String] {
        let end = partial.range(of: part).upperBound
        guard position > 0 || end < partial.size else { return [:] }
        var fields = ["Range": "bytes=\(position)-\(end - 1)"]
        if let tag = partial.tag { fields["If-Range"] = "\"\(tag)\"" }
        return fields
    }

    /// What the hub redirected to is asked at once the next time.
    private func noteLocation(_ answer: HTTPAnswer) {
        guard let url = answer.head?.url, !client.isHub(url) else { return }
        download.note(location: url)
    }

    private func wait(after answer: HTTPAnswer, _ patience: inout Patience) throws(PithError) {
        let failure = client.failure(answer, download.location, about: question)
        if !failure.isPassing, download.location != download.source {
            // The address that the hub redirected to may have been good for some time only.
            download.note(location: nil)
            return
        }
        guard failure.isPassing else { throw failure.error }
        try patience.wait(after: failure.error, asked: failure.pause, client.report)
    }
}

/// Puts the bytes of a part, or of the whole file, where they belong.
final class PartSink: BodySink {
    /// Why the body is not wanted.
    enum Verdict {
        case isNeedless
        case isOtherVersion
    }

    private struct State {
        var position: Int
        var end: Int
        var isStream = false
        var hasProgress = false
        var verdict: Verdict?
    }

    private let fetcher: PartFetcher
    private let partial: PartialFile
    private let state: Mutex<State>

    init(_ fetcher: PartFetcher, _ partial: PartialFile, from position: Int) {
        (self.fetcher, self.partial) = (fetcher, partial)
        state = Mutex(State(position: position, end: partial.range(of: fetcher.part).upperBound))
    }

    /// Where the next bytes belong.
    var position: Int { state.withLock { $0.position } }
    var isWhole: Bool { state.withLock { $0.position == $0.end } }
    /// Whether the whole file comes instead of the part.
    var isStream: Bool { state.withLock { $0.isStream } }
    var hasProgress: Bool { state.withLock { $0.hasProgress } }
    var verdict: Verdict? { state.withLock { $0.verdict } }

    private func wrong(_ message: String) -> PithError { .data(message, at: fetcher.download.file.path) }

    func begin(_ head: HTTPHead) throws(PithError) {
        guard try partial.accepts(head.strongTag) else {
            state.withLock { $0.verdict = .isOtherVersion }
            throw wrong("has changed while it was fetched")
        }
        switch head.status {
        case 206: try beginPart(head)
        case 200: try beginWhole(head)
        default: throw wrong("the hub answers with status \(head.status)")
        }
    }

    private func beginPart(_ head: HTTPHead) throws(PithError) {
        let (position, end) = state.withLock { ($0.position, $0.end) }
        guard let range = head.contentRange, range.first == position, range.last >= position, range.last < end,
            range.total ?? partial.size == partial.size,
            head.contentLength ?? (range.last - position + 1) == range.last - position + 1
        else {
            let said = head["Content-Range"]?.printable.shortened ?? "nothing"
            let asked = "\(position)-\(end - 1)/\(partial.size)"
            throw wrong(
                "the hub sends other bytes than were asked for: '\(said)' instead of '\(asked)'")
        }
    }

    private func beginWhole(_ head: HTTPHead) throws(PithError) {
        if let length = head.contentLength, length != partial.size {
            throw wrong("the hub sends \(length) bytes where its listing says \(partial.size)")
        }
        guard fetcher.download.claimStream(fetcher.part) else {
            state.withLock { $0.verdict = .isNeedless }
            throw wrong("comes whole already")
        }
        state.withLock { state in (state.isStream, state.position, state.end) = (true, 0, partial.size) }
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        guard !fetcher.isStopped() else { throw wrong("is not fetched any more") }
        let (position, end, isStream) = state.withLock { ($0.position, $0.end, $0.isStream) }
        guard bytes.count <= end - position else { throw wrong("the hub sends more than \(end) bytes") }
        try partial.write(bytes, at: position)
        if isStream { try finishParts(from: position, to: position + bytes.count) }
        state.withLock { state in
            state.position += bytes.count
            state.hasProgress = state.hasProgress || !bytes.isEmpty
        }
        fetcher.client.report(.received(bytes.count))
    }

    /// Marks the parts that the stream has passed.
    private func finishParts(from position: Int, to end: Int) throws(PithError) {
        let last = end == partial.size ? PartialFile.partCount(end, partial.partSize) : end / partial.partSize
        for part in position / partial.partSize..<max(last, position / partial.partSize) { try partial.finish(part) }
    }
}
