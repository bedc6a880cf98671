import Foundation
import PithCore
import Synchronization

/// What went otherwise than asked while files were read: they could not be, or changed meanwhile.
public final class InputNotes: Sendable {
    /// A file and what is to be said of it.
    public struct Note: Sendable, Equatable {
        /// Where the file is.
        public var path: BytePath
        /// What happened.
        public var message: String
        /// Whether the archive lacks something for it.
        public var isLoss: Bool
    }

    private struct State {
        var notes: [Note] = []
        var changed: Set<BytePath> = []
    }
    private let state = Mutex(State())

    /// Nothing yet.
    public init() {}

    /// All notes, in the order in which they were made.
    public var all: [Note] { state.withLock { $0.notes } }

    /// Notes something of a file.
    func add(_ path: BytePath, _ message: String) {
        state.withLock { $0.notes.append(Note(path: path, message: message, isLoss: true)) }
    }

    /// Says something that a person may want to know.
    func addRemark(_ path: BytePath, _ message: String) {
        state.withLock { $0.notes.append(Note(path: path, message: message, isLoss: false)) }
    }

    /// Notes a change of a file, the first one alone.
    func addChange(_ path: BytePath, _ message: String) {
        if state.withLock({ $0.changed.insert(path).inserted }) { add(path, message) }
    }
}

/// Bytes that go into an archive: in memory, or of a file that is read when their turn comes.
struct ContentSource: Sendable {
    /// A file as it was when it was listed.
    struct File: Sendable {
        var path: BytePath
        var state: InputFile.State
        /// Whether bytes that are not there any more are made up for by zeros: others come behind them.
        var isFilled: Bool
        var notes: InputNotes
    }
    private enum Origin: Sendable {
        case memory(ByteRegion)
        case file(File)
    }
    private let origin: Origin
    private let range: Range<Int>

    /// Bytes in memory.
    init(_ region: ByteRegion) { (origin, range) = (.memory(region), 0..<region.count) }
    /// A whole file.
    init(_ file: File) { (origin, range) = (.file(file), 0..<file.state.size) }

    private init(_ origin: Origin, _ range: Range<Int>) { (self.origin, self.range) = (origin, range) }

    /// The number of bytes.
    var count: Int { range.count }

    /// The part in `part`.
    subscript(part: Range<Int>) -> ContentSource {
        ContentSource(origin, range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound)
    }

    /// The bytes, read now and once. If the file is not as it was, that is noted.
    func read() throws(PithError) -> [UInt8] {
        switch origin {
        case .memory(let region): return region[range].withBytes { Array($0) }
        case .file(let file):
            var bytes: [UInt8] = []
            do throws(PithError) {
                let open = try InputFile(file.path)
                bytes = try open.read(range)
                if try open.currentState() != file.state {
                    file.notes.addChange(file.path, "changed while it was read")
                }
            } catch {
                guard file.isFilled else { throw error }
                file.notes.addChange(file.path, "could not be read to the end: \(error.message)")
            }
            if bytes.count < range.count, file.isFilled {
                file.notes.add(
                    file.path, "\(ByteCount(range.count - bytes.count)) were not there any more: they are zeros")
                bytes += [UInt8](repeating: 0, count: range.count - bytes.count)
            }
            return bytes
        }
    }
}

/// A view of content for a look at what it is: of a large file only what is looked at is read.
final class ContentView {
    /// All of the content; zeros where nothing was loaded.
    let region: ByteRegion
    private let file: InputFile?
    private let memory: UnsafeMutableRawBufferPointer?

    /// A view of bytes in memory.
    init(_ region: ByteRegion) { (self.region, file, memory) = (region, nil, nil) }

    /// A view of a file of `count` bytes.
    init(_ file: InputFile, count: Int) throws(PithError) {
        // Pages that nothing was read into take no memory.
        let pages = mmap(
            nil, max(1, count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | Self.noReserve, -1, 0)
        guard let pages, pages != MAP_FAILED else {
            throw .fault("there is no memory for a view of \(ByteCount(count))")
        }
        let memory = UnsafeMutableRawBufferPointer(start: pages, count: count)
        (self.memory, self.file) = (memory, file)
        region = ByteRegion(UnsafeRawBufferPointer(memory), keptAliveBy: nil)
    }

    deinit { if let memory { munmap(memory.baseAddress, max(1, memory.count)) } }

    #if os(macOS)
        private static let noReserve: Int32 = 0
    #else
        private static let noReserve = MAP_NORESERVE
    #endif

    /// The number of bytes.
    var count: Int { region.count }

    /// Sees to it that the bytes in `range`, as far as there are any, can be looked at.
    func load(_ range: Range<Int>) {
        guard let file, let memory else { return }
        let range = range.clamped(to: 0..<memory.count)
        // What cannot be read is noticed again when its turn comes.
        guard let bytes = try? file.read(range) else { return }
        UnsafeMutableRawBufferPointer(rebasing: memory[range.lowerBound..<range.lowerBound + bytes.count])
            .copyBytes(from: bytes)
    }
}

extension ContentSource {
    /// What the content consists of; one part of any kind if it cannot be looked at.
    var parts: [ContentPart] {
        guard count > 0 else { return [] }
        switch origin {
        case .memory(let region): return ContentPart.parts(of: ContentView(region[range]))
        case .file(let file):
            guard let open = try? InputFile(file.path), let view = try? ContentView(open, count: count) else {
                return [ContentPart(range: 0..<count, kind: .binary)]
            }
            return ContentPart.parts(of: view)
        }
    }
}
