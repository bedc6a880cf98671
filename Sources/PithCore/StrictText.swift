extension String {
    /// The text that `bytes` hold, which must be UTF-8: bytes that are none are never replaced.
    public init(strictUTF8 bytes: some RandomAccessCollection<UInt8>, at place: String) throws(PithError) {
        if let text = String(validating: bytes, as: UTF8.self) {
            self = text
            return
        }
        let offset = bytes.firstOffsetOutsideUTF8
        let digits = String(bytes[bytes.index(bytes.startIndex, offsetBy: offset)], radix: 16, uppercase: true)
        throw .data(
            "is not valid UTF-8 at byte \(offset): 0x\(digits.count < 2 ? "0" : "")\(digits)", at: place,
            remedy: "texts are UTF-8; convert it, for example with 'iconv -f LATIN1 -t UTF-8'")
    }
}

extension Collection<UInt8> {
    /// Where the first bytes begin that are no character in UTF-8; the number of all bytes if there are none.
    fileprivate var firstOffsetOutsideUTF8: Int {
        var (decoder, bytes, offset) = (Unicode.UTF8.ForwardParser(), makeIterator(), 0)
        while true {
            switch decoder.parseScalar(from: &bytes) {
            case .valid(let character): offset += character.count
            case .emptyInput, .error: return offset
            }
        }
    }
}

extension ByteRegion {
    /// Refuses what stands in the place of a file that was not fetched: a pointer of Git LFS or git-annex.
    public func refusePointer(at path: String) throws(PithError) {
        func begins(with text: String) -> Bool { withBytes { $0.starts(with: text.utf8) } }
        if begins(with: "version https://git-lfs.github.com/spec/") {
            throw .data(
                "is a pointer of Git LFS, not the file itself", at: path,
                remedy: "'git lfs pull' in its repository fetches the file")
        }
        if begins(with: "/annex/objects/") {
            throw .data(
                "is a pointer of git-annex, not the file itself", at: path,
                remedy: "'git annex get' in its repository fetches the file")
        }
    }
}
