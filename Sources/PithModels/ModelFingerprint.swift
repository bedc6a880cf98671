import PithCore
import PithFormats

/// What tells a model from all others: a SHA-256 over the files that decide its predictions.
///
/// Files are hashed in blocks of 1 MiB, on all threads; then comes the digest of each file's blocks, and that of the
/// names and digests of all files.
public struct ModelFingerprint: Sendable {
    /// The first eight bytes of the digest.
    public let value: UInt64
    /// The bytes of the files.
    public let size: ByteCount

    private static let blockSize = 1 << 20

    /// Reads the files of a model.
    public init(_ folder: ModelSource, pool: ThreadPool) throws(PithError) {
        var (digests, size) = ("", ByteCount(0))
        for path in folder.decidingFiles {
            let region = try MappedFile.open(path)
            size = size + ByteCount(region.count)
            digests += "\(path.split(separator: "/").last ?? "") \(Self.digest(of: region, pool: pool))\n"
        }
        let digest = Array(digests.utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) }
        self.size = size
        value = UInt64(digest.prefix(16), radix: 16) ?? 0
    }

    /// The digest of the digests of all blocks.
    private static func digest(of region: ByteRegion, pool: ThreadPool) -> String {
        let blocks = (region.count + blockSize - 1) / blockSize
        let digests = pool.map(blocks) { block in
            let part = region[block * blockSize..<min(region.count, (block + 1) * blockSize)]
            return part.withBytes { SHA256.hexDigest(of: $0) }
        }
        return Array(digests.joined().utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) }
    }
}
