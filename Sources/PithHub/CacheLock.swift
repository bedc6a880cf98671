import Foundation
import PithCore

/// Keeps other processes of Pith from fetching the same repository at the same time. It goes when the process ends.
final class CacheLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock of a repository; waits while another process has it, and says so.
    init(_ cache: HubCache, _ address: RepositoryAddress, _ report: (HubEvent) -> Void) throws(PithError) {
        let folder = joinPath(cache.root, ".locks/models--\(address.owner)--\(address.name)")
        try Files.makeFolder(folder)
        let path = joinPath(folder, "pith.lock")
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .fault("cannot be opened: \(systemError())", at: path) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        report(.notice("another process fetches \(address.repository); waiting for it"))
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .fault("cannot be locked: \(systemError())", at: path) }
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}

/// What the system says about the last error.
func systemError() -> String { String(cString: strerror(errno)) }
