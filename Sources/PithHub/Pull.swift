import Foundation
import PithCore
import Synchronization

/// The work of fetching files of a commit.
struct Pull {
    private let settings: HubSettings
    private let cache: HubCache
    private let address: RepositoryAddress
    private let commit: String
    private let report: @Sendable (HubEvent) -> Void

    init(
        _ settings: HubSettings, _ cache: HubCache, _ address: RepositoryAddress, _ commit: String,
        _ report: @escaping @Sendable (HubEvent) -> Void
    ) {
        (self.settings, self.cache, self.address, self.commit, self.report) = (settings, cache, address, commit, report)
    }

    /// Fetches the files and links them into the snapshot.
    func fetch(_ files: [HubFile]) throws(PithError) {
        let resolved = try resolve(files)
        for attempt in 1... {
            let downloads = try downloads(resolved)
            try requireSpace(downloads)
            report(.begin(total: downloads.reduce(0) { $0 + $1.missingBytes }))
            if try fetch(downloads) { break }
            guard attempt < 3 else {
                throw .data(
                    "its files change while they are fetched", at: address.repository, remedy: "pull again later")
            }
            report(.notice("the hub has another version of a file now; it is fetched anew"))
        }
        for (file, _, tag) in resolved { try cache.link(file.path, to: tag, address, commit) }
    }

    /// A file, where the hub has it, and its name in the cache.
    private typealias Resolved = (file: HubFile, source: URL, tag: String)

    private func resolve(_ files: [HubFile]) throws(PithError) -> [Resolved] {
        let found = Mutex<[Int: Resolved]>([:])
        try work(files.count) { (client, index) throws(PithError) in
            let (source, tag) = try client.resolve(files[index], of: address, at: commit)
            found.withLock { $0[index] = (files[index], source, tag) }
        }
        return found.withLock { found in files.indices.compactMap { found[$0] } }
    }

    /// What is not in the cache, each content once.
    private func downloads(_ files: [Resolved]) throws(PithError) -> [FileDownload] {
        let blobs = cache.blobs(address)
        var seen: [String: HubFile] = [:]
        var downloads: [FileDownload] = []
        for (file, source, tag) in files {
            if let other = seen[tag], other.size != file.size {
                throw .data("the hub gives one tag to files of different sizes", at: "\(other.path), \(file.path)")
            }
            guard seen.updateValue(file, forKey: tag) == nil, cache.size(joinPath(blobs, tag)) != file.size else {
                continue
            }
            downloads.append(
                FileDownload(file, source: source, tag: tag, blobs: blobs, partSize: max(1, settings.transfer.partSize))
            )
        }
        return downloads
    }

    private func requireSpace(_ downloads: [FileDownload]) throws(PithError) {
        let missing = downloads.reduce(0) { $0 + $1.missingBytes }
        guard let free = settings.transfer.freeSpace(cache.blobs(address)), free.value < missing else { return }
        throw .fault(
            "there is no room for \(ByteCount(missing)): \(free) are free", at: settings.cache,
            remedy: "make room, or name another folder with --cache or HF_HUB_CACHE")
    }

    /// Fetches contents, several parts at a time. Returns false if the hub has another version of one by now.
    private func fetch(_ downloads: [FileDownload]) throws(PithError) -> Bool {
        let jobs = downloads.flatMap { download in (0..<download.jobCount).map { (download, part: $0) } }
        let stop = StopSign()
        do throws(PithError) {
            try work(jobs.count, stoppedBy: stop) { (client, index) throws(PithError) in
                let (download, part) = jobs[index]
                let fetcher = PartFetcher(
                    client: client, download: download, part: part, isStopped: { stop.isSet },
                    question: HubQuestion(address: address, file: download.file.path))
                if try fetcher.run() { try download.finishJob() } else { stop.set(isChanged: true) }
            }
        } catch {
            if stop.isChanged { return false }
            throw error
        }
        return !stop.isChanged
    }

    /// Does so many pieces of work on several connections, until one fails or the sign is set.
    private func work(
        _ count: Int, stoppedBy stop: StopSign = StopSign(),
        _ piece: @Sendable (HubClient, Int) throws(PithError) -> Void
    ) throws(PithError) {
        let connections = max(1, min(settings.transfer.connections, count))
        let next = Atomic(0)
        let results = ThreadPool(threads: connections).map(connections) { _ in
            Result { () throws(PithError) in
                do throws(PithError) {
                    let client = try HubClient(settings, report: report)
                    while !stop.isSet {
                        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard index < count else { return }
                        try piece(client, index)
                    }
                } catch {
                    // What fails because of the sign is not the reason for it.
                    guard stop.set() else { return }
                    throw error
                }
            }
        }
        for result in results { try result.get() }
    }
}

/// Tells work that goes on elsewhere to stop.
private final class StopSign: Sendable {
    private let state = Mutex((isSet: false, isChanged: false))

    var isSet: Bool { state.withLock { $0.isSet } }
    /// Whether it was set because a file has changed.
    var isChanged: Bool { state.withLock { $0.isChanged } }

    /// Sets it; false if it was set already.
    @discardableResult
    func set(isChanged: Bool = false) -> Bool {
        state.withLock { state in
            guard !state.isSet else { return false }
            state = (true, isChanged)
            return true
        }
    }
}
