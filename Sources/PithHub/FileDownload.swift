import Foundation
import PithCore
import Synchronization

/// A content on its way into the cache.
final class FileDownload: Sendable {
    let file: HubFile
    /// Where the hub has it.
    let source: URL
    /// Its name in the cache.
    let tag: String
    private let place: String
    private let partSize: Int
    private let state: Mutex<State>

    private struct State {
        var partial: PartialFile?
        /// Where the hub's redirections led.
        var location: URL?
        /// The part whose request gets the whole file, since the server knows no ranges.
        var streamingPart: Int?
        var unfinishedJobs: Int
    }

    init(_ file: HubFile, source: URL, tag: String, blobs: String, partSize: Int) {
        (self.file, self.source, self.tag, self.partSize) = (file, source, tag, partSize)
        place = joinPath(blobs, tag)
        state = Mutex(State(unfinishedJobs: max(1, PartialFile.partCount(file.size, partSize))))
    }

    /// The number of pieces of work, one for each part.
    var jobCount: Int { max(1, PartialFile.partCount(file.size, partSize)) }

    /// Bytes that must still be fetched.
    var missingBytes: Int { file.size - PartialFile.savedBytes(at: place, size: file.size, partSize: partSize) }

    /// The file as far as it is there.
    func partial() throws(PithError) -> PartialFile {
        try state.withLock { (state) throws(PithError) in
            if let partial = state.partial { return partial }
            let partial = try PartialFile(at: place, size: file.size, partSize: partSize)
            state.partial = partial
            return partial
        }
    }

    /// Where to ask for its bytes.
    var location: URL { state.withLock { $0.location } ?? source }

    /// Notes where the hub's redirections led; nil to ask the hub again.
    func note(location: URL?) { state.withLock { $0.location = location } }

    /// Gives the whole file to the request for one part. False if another one has it.
    func claimStream(_ part: Int) -> Bool {
        state.withLock { state in
            if state.streamingPart == nil { state.streamingPart = part }
            return state.streamingPart == part
        }
    }

    /// Whether the request for a part must go on: until the part is there, or the whole file where that is its work.
    func needs(_ part: Int, of partial: PartialFile) -> Bool {
        guard let streamingPart = state.withLock({ $0.streamingPart }) else { return !partial.isThere(part) }
        return streamingPart == part && !partial.isWhole
    }

    /// Ends a piece of work. Whoever ends the last one checks the file and puts it in its place.
    func finishJob() throws(PithError) {
        let isLast = state.withLock { state in
            state.unfinishedJobs -= 1
            return state.unfinishedJobs == 0
        }
        guard isLast else { return }
        let partial = try partial()
        guard partial.isWhole else { throw .fault("is not whole", at: file.path, remedy: "pull again") }
        if let sum = file.sum, try !sum.isThat(of: partial.dataPath) {
            partial.discard()
            throw .data(
                "what came does not add up to what the hub says (\(sum))", at: file.path,
                remedy: "it was deleted; pull again")
        }
        try partial.moveToPlace()
        state.withLock { $0.partial = nil }
    }
}
