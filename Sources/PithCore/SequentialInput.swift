import Foundation

/// What is read once, front to back: standard input.
public final class SequentialInput: Sendable {
    private let descriptor: Int32
    /// The name for errors.
    public let name: String

    /// Standard input.
    public static let standardInput = SequentialInput(0, name: "standard input")

    init(_ descriptor: Int32, name: String) { (self.descriptor, self.name) = (descriptor, name) }

    /// The next `count` bytes, or what is left. Memory is taken as bytes arrive.
    public func read(_ count: Int) throws(PithError) -> [UInt8] {
        var bytes: [UInt8] = []
        let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, 1 << 18), alignment: 16)
        defer { portion.deallocate() }
        while bytes.count < count {
            let got = Foundation.read(descriptor, portion.baseAddress, min(portion.count, count - bytes.count))
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw .fault("cannot be read: \(lastSystemError)", at: name) }
            if got == 0 { break }
            bytes.append(contentsOf: portion[..<got])
        }
        return bytes
    }

    /// All that is left, in a file without a name that is gone with the program, so that it may be read anywhere.
    public func spooled() throws(PithError) -> InputFile {
        let folder = try FolderHandle(BytePath(NSTemporaryDirectory()).trimmed)
        let file = try InputFile(temporaryIn: folder)
        while true {
            let bytes = try read(1 << 20)
            if bytes.isEmpty { break }
            try bytes.withUnsafeBufferPointer { (bytes) throws(PithError) in
                try writeAll(UnsafeRawBufferPointer(bytes), to: file.descriptor, folder.path)
            }
        }
        return try file.reopened()
    }
}
