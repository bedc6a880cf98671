import Foundation

/// Who may do what with a file, whose it is, and when it was changed.
public struct FileAttributes: Sendable {
    /// Permissions, as in `chmod`; those to run with another's rights are never given.
    public var permissions: Int
    /// User and group; nil for those of the program.
    public var owner: (user: UInt32, group: UInt32)?
    /// When it was read and changed last; nil for now.
    public var times: (read: timespec, changed: timespec)?

    /// Permissions alone.
    public init(permissions: Int) { self.permissions = permissions }

    /// Permissions, and a time in seconds since 1970.
    public init(permissions: Int, modified: Int) {
        self.permissions = permissions
        let time = timespec(tv_sec: modified, tv_nsec: 0)
        times = (time, time)
    }

    /// What a new file has: reading and writing for all, less what the user's mask takes away.
    public static var new: FileAttributes { FileAttributes(permissions: 0o666 & ~creationMask) }
    /// What a new folder has.
    public static var newFolder: FileAttributes { FileAttributes(permissions: 0o777 & ~creationMask) }

    /// Those that `stat` tells.
    init(_ information: stat) {
        permissions = Int(information.st_mode) & 0o777
        owner = (information.st_uid, information.st_gid)
        #if os(macOS)
            times = (information.st_atimespec, information.st_mtimespec)
        #else
            times = (information.st_atim, information.st_mtim)
        #endif
    }

    // Asking for the mask sets it: so once, and before there are threads that might make files.
    private static let creationMask: Int = {
        let mask = umask(0o077)
        umask(mask)
        return Int(mask)
    }()

    /// Gives what is open those attributes, as far as the system permits: the owner first, and no right to a group
    /// that it cannot be given to.
    func apply(to descriptor: Int32) {
        var permissions = permissions & 0o777
        if let owner {
            _ = fchown(descriptor, owner.user, gid_t.max)
            if fchown(descriptor, uid_t.max, owner.group) != 0 { permissions &= 0o707 | permissions << 3 & 0o070 }
        }
        fchmod(descriptor, mode_t(permissions))
        guard let times else { return }
        withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { both in
            both.initializeElement(at: 0, to: times.read)
            both.initializeElement(at: 1, to: times.changed)
            _ = futimens(descriptor, both.baseAddress)
        }
    }
}
