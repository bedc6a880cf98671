import Foundation
import PithCore
import Synchronization

/// A file that comes in parts, in any order, and goes on after the program was ended.
///
/// Its bytes stand where they belong in `PLACE.pith.incomplete`; `PLACE.pith.parts` says which parts are there. That is
/// said once they are on the disk. `huggingface_hub` takes what is called `PLACE.incomplete` for a beginning without
/// holes, so the names differ from that.
final class PartialFile: Sendable {
    /// The size of the whole and of its parts.
    let size: Int, partSize: Int
    private let place: String
    private let descriptor: Int32
    private let mapDescriptor: Int32
    private let state: Mutex<State>

    private struct State {
        var isThere: [Bool]
        var missingCount: Int
        /// What names the version that the parts are of, as the server that has the bytes says it.
        var tag: String?
    }

    /// Where its bytes stand.
    var dataPath: String { Self.dataPath(place) }
    private var mapPath: String { Self.mapPath(place) }
    private static func dataPath(_ place: String) -> String { place + ".pith.incomplete" }
    private static func mapPath(_ place: String) -> String { place + ".pith.parts" }
    /// Bytes before the marks of the parts.
    private static let headerSize = 512

    /// Opens what is there of the file that shall stand at `place`, or begins it.
    init(at place: String, size: Int, partSize: Int) throws(PithError) {
        (self.place, self.size, self.partSize) = (place, size, partSize)
        let count = Self.partCount(size, partSize)
        let old = Self.marks(at: place, size: size, partSize: partSize)
        descriptor = try Self.open(Self.dataPath(place))
        do throws(PithError) { mapDescriptor = try Self.open(Self.mapPath(place)) } catch {
            close(descriptor)
            throw error
        }
        let isThere = old?.isThere ?? [Bool](repeating: false, count: count)
        state = Mutex(State(isThere: isThere, missingCount: isThere.count { !$0 }, tag: old?.tag))
        // What is left of other sizes goes.
        guard ftruncate(descriptor, off_t(size)) == 0, old != nil || ftruncate(mapDescriptor, 0) == 0 else {
            throw failure("cannot be written")
        }
        if old == nil { try writeMap() }
    }

    deinit {
        close(descriptor)
        close(mapDescriptor)
    }

    private static func open(_ path: String) throws(PithError) -> Int32 {
        let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .fault("cannot be opened: \(systemError())", at: path) }
        return descriptor
    }

    private func failure(_ message: String) -> PithError {
        .fault("\(message): \(systemError())", at: dataPath, remedy: "what is there already is kept")
    }

    /// The number of parts.
    static func partCount(_ size: Int, _ partSize: Int) -> Int { (size + partSize - 1) / partSize }

    /// The bytes of a part.
    func range(of part: Int) -> Range<Int> { part * partSize..<min(size, (part + 1) * partSize) }

    /// Bytes that are there of the file that shall stand at `place`.
    static func savedBytes(at place: String, size: Int, partSize: Int) -> Int {
        let isThere = marks(at: place, size: size, partSize: partSize)?.isThere ?? []
        return isThere.indices.reduce(0) { sum, part in
            sum + (isThere[part] ? min(size, (part + 1) * partSize) - part * partSize : 0)
        }
    }

    // MARK: The map of parts

    private static func header(size: Int, partSize: Int, tag: String?) -> [UInt8] {
        var header = Array("pith parts 1 \(size) \(partSize) \(tag ?? "")".utf8.prefix(headerSize - 1))
        header += [UInt8](repeating: UInt8(ascii: " "), count: headerSize - 1 - header.count)
        return header + [UInt8(ascii: "\n")]
    }

    /// What a map says, if it is one of these sizes and its data are there.
    private static func marks(at place: String, size: Int, partSize: Int) -> (isThere: [Bool], tag: String?)? {
        guard let bytes = try? Files.bytes(mapPath(place)), bytes.count == headerSize + partCount(size, partSize),
            let status = try? FileStatus(BytePath(dataPath(place)), followsLinks: false), status.kind == .file,
            status.size == size
        else { return nil }
        let words = String(decoding: bytes[..<headerSize], as: UTF8.self).split(
            separator: " ", omittingEmptySubsequences: false)
        guard words.count > 5, words[..<5].elementsEqual(["pith", "parts", "1", "\(size)", "\(partSize)"]) else {
            return nil
        }
        return (bytes[headerSize...].map { $0 == UInt8(ascii: "1") }, words[5].isEmpty ? nil : String(words[5]))
    }

    private func writeMap() throws(PithError) {
        let bytes = state.withLock { state in
            Self.header(size: size, partSize: partSize, tag: state.tag)
                + state.isThere.map { UInt8(ascii: $0 ? "1" : "0") }
        }
        try write(bytes, at: 0, to: mapDescriptor)
    }

    // MARK: Parts

    func isThere(_ part: Int) -> Bool { state.withLock { $0.isThere[part] } }

    /// Whether all parts are there.
    var isWhole: Bool { state.withLock { $0.missingCount == 0 } }

    /// Whether the version `tag` is the one that the parts are of; if none was named yet, it is from now on.
    func accepts(_ tag: String?) throws(PithError) -> Bool {
        // One with spaces or too long a one could not be read again.
        guard let tag, tag.utf8.count < 256, tag.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return true }
        let (isAccepted, isNew) = state.withLock { state in
            let isNew = state.tag == nil
            if isNew { state.tag = tag }
            return (state.tag == tag, isNew)
        }
        if isNew { try writeMap() }
        return isAccepted
    }

    /// The version that the parts are of, if the server named it.
    var tag: String? { state.withLock { $0.tag } }

    /// Writes bytes where they belong.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PithError) {
        try write(bytes, at: offset, to: descriptor)
    }

    private func write(_ bytes: some Sequence<UInt8>, at offset: Int, to descriptor: Int32) throws(PithError) {
        try Array(bytes).withUnsafeBufferPointer { (bytes) throws(PithError) in
            try write(UnsafeRawBufferPointer(bytes), at: offset, to: descriptor)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, to descriptor: Int32) throws(PithError) {
        var written = 0
        while written < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress! + written, bytes.count - written, off_t(offset + written))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("cannot be written") }
            written += count
        }
    }

    /// Says that all bytes of a part are written, once they are on the disk.
    func finish(_ part: Int) throws(PithError) {
        guard fsync(descriptor) == 0 else { throw failure("cannot be written") }
        let isNew = state.withLock { state in
            let isNew = !state.isThere[part]
            state.isThere[part] = true
            if isNew { state.missingCount -= 1 }
            return isNew
        }
        if isNew { try write([UInt8(ascii: "1")], at: Self.headerSize + part, to: mapDescriptor) }
    }

    /// Removes what is there.
    func discard() {
        for path in [dataPath, mapPath] { try? Files.remove(path) }
    }

    /// Puts the whole file in its place.
    func moveToPlace() throws(PithError) {
        guard rename(dataPath, place) == 0 else { throw failure("cannot be put in its place") }
        try? Files.remove(mapPath)
    }
}

/// What the system says about the last error.
private func systemError() -> String { String(cString: strerror(errno)) }
