import Foundation
import PithCore

/// Opens archives into files.
public enum Unzip {
    /// Content that could not be saved.
    public struct Loss: Sendable, Equatable {
        /// The path in the archive; empty if it has none.
        public var path: String
        /// Bytes that are missing; 0 if some are wrong and nobody knows which.
        public var count: Int
        /// Why.
        public var reason: PithError
    }

    /// Writes the one run of bytes of an archive to `sink`. What is lost is left out; without `salvaging` it is an error.
    public static func write(
        _ reader: inout ArchiveReader, to sink: any ByteSink, salvaging: Bool
    ) throws(PithError) -> [Loss] {
        var losses: [Loss] = []
        do throws(PithError) {
            try reader.readContent { (piece) throws(PithError) in
                switch piece {
                case .content(let bytes): try sink.write(bytes)
                case .damaged(let bytes, let reason):
                    guard salvaging else { throw reason }
                    try sink.write(bytes)
                    losses.append(Loss(path: "", count: 0, reason: reason))
                case .lost(let count, let reason):
                    guard salvaging else { throw reason }
                    losses.append(Loss(path: "", count: count, reason: reason))
                }
            }
        } catch {
            guard salvaging, error.kind == .data else { throw error }
            losses.append(Loss(path: "", count: 0, reason: error))
        }
        return losses
    }

    /// Decodes everything and keeps nothing.
    public static func test(_ reader: inout ArchiveReader) throws(PithError) {
        try reader.readContent { (piece) throws(PithError) in
            switch piece {
            case .content: break
            case .damaged(_, let reason), .lost(_, let reason): throw reason
            }
        }
    }

    /// Writes the files of an archive below the folder `root`. With `salvaging`, files of which something is lost get
    /// the ending `.damaged`; what is lost within them is zeros.
    public static func extract(
        _ reader: inout ArchiveReader, into root: String, salvaging: Bool
    ) throws(PithError) -> [Loss] {
        guard let directory = reader.directory else {
            throw .usage("the archive holds one file without a name", remedy: "name the file to write with -o")
        }
        var extraction = try Extraction(directory, root)
        do throws(PithError) {
            try reader.readContent { (piece) throws(PithError) in
                switch piece {
                case .content(let bytes): try extraction.write(bytes)
                case .damaged(let bytes, let reason):
                    guard salvaging else { throw reason }
                    try extraction.write(bytes, damagedBy: reason)
                case .lost(let count, let reason):
                    guard salvaging else { throw reason }
                    try extraction.skip(count, reason)
                }
            }
        } catch {
            guard salvaging, error.kind == .data else { throw error }
            try extraction.abandon(error)
        }
        return try extraction.finish()
    }
}
