import PithCore

/// Opens archives into files.
public enum Unzip {
    /// Content that could not be saved.
    public struct Loss: Sendable, Equatable {
        /// The path in the archive; empty if it has none.
        public var path: BytePath
        /// Bytes that are missing; 0 if some are wrong and nobody knows which.
        public var count: Int
        /// Why.
        public var reason: PithError
    }

    /// Writes the one run of bytes of an archive to `sink`. What is lost is left out if the reader is salvaging, and else
    /// an error.
    public static func write(_ reader: inout ArchiveReader, to sink: any ByteSink) throws(PithError) -> [Loss] {
        var losses: [Loss] = []
        let isSalvaging = reader.isSalvaging
        if let reason = reader.lostDirectory { losses.append(Loss(path: "", count: 0, reason: reason)) }
        do throws(PithError) {
            try reader.readContent { (piece) throws(PithError) in
                switch piece {
                case .content(let bytes): try sink.write(bytes)
                case .damaged(let bytes, let reason):
                    guard isSalvaging else { throw reason }
                    try sink.write(bytes)
                    losses.append(Loss(path: "", count: 0, reason: reason))
                case .lost(let count, let reason):
                    guard isSalvaging else { throw reason }
                    losses.append(Loss(path: "", count: count, reason: reason))
                }
            }
        } catch {
            guard isSalvaging, error.kind == .data else { throw error }
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

    /// Writes the files of an archive below the folder `root`. If the reader is salvaging, files of which something is
    /// lost get the ending `.damaged`; what is lost within them is zeros. Files that cannot be made are among the losses.
    public static func extract(
        _ reader: inout ArchiveReader, into root: BytePath, isReplacing: Bool = false
    ) throws(PithError) -> [Loss] {
        guard let directory = reader.directory else {
            throw .usage("the archive holds one file without a name", remedy: "name the file to write with -o")
        }
        let isSalvaging = reader.isSalvaging
        var extraction = try Extraction(directory, root, isReplacing: isReplacing)
        do throws(PithError) {
            try reader.readContent { (piece) throws(PithError) in
                switch piece {
                case .content(let bytes): try extraction.write(bytes)
                case .damaged(let bytes, let reason):
                    guard isSalvaging else { throw reason }
                    try extraction.write(bytes, damagedBy: reason)
                case .lost(let count, let reason):
                    guard isSalvaging else { throw reason }
                    try extraction.skip(count, reason)
                }
            }
        } catch {
            guard isSalvaging, error.kind == .data else {
                _ = extraction.finish()
                throw error
            }
            extraction.abandon(error)
        }
        return extraction.finish()
    }
}
