import PithCore

/// What goes into an archive: the content of files, one behind the other, and what stands where.
public struct ArchiveInput: Sendable {
    /// The content of files, in order.
    var contents: [ContentSource]
    /// The files and folders; nil for one run of bytes without a name.
    public let directory: ArchiveDirectory?
    /// What the archive may be read by, and for one file also whose it is and when it was changed. Nobody may read an
    /// archive who might not read all that is in it.
    public let attributes: FileAttributes
    /// What was left out or changed while it was read; complete when the archive is written.
    public let notes: InputNotes

    /// One run of bytes; its name is not kept.
    public init(_ content: ByteRegion) {
        (contents, directory, attributes, notes) = ([ContentSource(content)], nil, .new, InputNotes())
    }

    /// A directory alone, of entries without content.
    package init(directory: ArchiveDirectory) {
        (contents, self.directory, attributes, notes) = ([], directory, .new, InputNotes())
    }

    /// Bytes of content.
    public var count: Int { contents.reduce(0) { $0 + $1.count } }

    /// The files and folders at `paths`, each under its last name. One file alone is a run of bytes without a name.
    ///
    /// Links given by name are followed; others are stored, unless `followsLinks` says otherwise. `archive`, if there is
    /// one already, is left out. What cannot be read is noted and left out.
    public init(paths: [BytePath], followsLinks: Bool = false, archive: InputFile.State? = nil) throws(PithError) {
        notes = InputNotes()
        guard paths.count != 1 || Files.isFolder(paths[0]) else {
            let file = try InputFile(paths[0])
            directory = nil
            attributes = file.attributes
            contents = [try Self.content(of: file, paths[0], isFilled: false, notes)]
            return
        }
        var listing = FolderListing(followsLinks: followsLinks, archive: archive, notes: notes)
        for path in paths { try listing.add(path) }
        guard !listing.items.isEmpty else { throw .data("nothing of it can be read", at: paths[0].description) }
        listing.noteLinksThatLeadOut()
        let items = listing.sorted()
        directory = ArchiveDirectory(entries: items.lazy.map(\.entry))
        contents = items.compactMap(\.content)
        attributes = FileAttributes(permissions: FileAttributes.new.permissions & (listing.readers | 0o600))
    }

    /// The content of an open file. What the system makes up when it is read is read at once.
    static func content(
        of file: InputFile, _ path: BytePath, isFilled: Bool, _ notes: InputNotes
    ) throws(PithError) -> ContentSource {
        if file.mayBeMadeUp {
            let bytes = try file.readToEnd()
            if bytes.count != file.size { return ContentSource(ByteRegion(copying: bytes)) }
        }
        return ContentSource(.init(path: path, state: file.state, isFilled: isFilled, notes: notes))
    }
}
