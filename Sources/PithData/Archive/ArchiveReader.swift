import PithCoding
import PithCore

/// Reads archives, front to back.
public struct ArchiveReader {
    /// A piece of what an archive holds.
    public enum Piece {
        /// Content, in order.
        case content([UInt8])
        /// Content of which some bytes are wrong, nobody knows which.
        case damaged([UInt8], PithError)
        /// So many bytes of content that are lost, and why.
        case lost(Int, PithError)
    }

    /// What an archive says of one of its segments.
    public struct SegmentDescription: Sendable, Equatable {
        /// The method that coded it.
        public var spec: String
        /// Bytes of content.
        public var count: Int
        /// Bytes of payload with checksums.
        public var storedCount: Int
        /// The fingerprint of the language model that is needed, if any is.
        public var fingerprint: UInt64?
    }

    private var source: ArchiveSource
    private let context: CodingContext
    private let memoryLimit: Int
    private var end = ArchiveEnd()
    private var next: SegmentHeader?
    private var isAtEnd = false
    /// The files of the archive; nil if it holds one run of bytes without a name.
    public private(set) var directory: ArchiveDirectory?

    /// Opens an archive and reads its directory. Segments that need more than `memoryLimit` bytes are refused.
    public init(
        _ source: ArchiveSource, _ context: CodingContext, memoryLimit: Int = .max
    ) throws(PithError) {
        self.source = source
        self.context = context
        self.memoryLimit = memoryLimit
        do throws(PithError) {
            try readStart()
        } catch { throw error.within(source.name) }
    }

    private mutating func readStart() throws(PithError) {
        let start = try source.takeAvailable(ArchiveFormat.magic.count)
        guard start.prefix(3) == ArchiveFormat.magic.prefix(3) else {
            throw .data("is no archive of Pith's", remedy: "they begin with 'PZA'; 'pith zip' makes them")
        }
        guard start == ArchiveFormat.magic else {
            throw .data(
                start.count == 4 ? "is an archive of version \(start[3])" : "ends too early",
                remedy: "this program reads version \(ArchiveFormat.magic[3])")
        }
        next = try readHeader()
        guard let first = next, first.isDirectory else { return }
        next = nil
        let payload = try readPayload(first)
        let bytes = try Self.decode(first, payload.bytes, isCut: payload.damage != nil, context, memoryLimit).content
        guard let bytes else { throw payload.damage ?? .invalidStream("the list of files is damaged") }
        directory = try ArchiveDirectory(bytes)
    }

    /// The next segment's header; nil at the end mark.
    private mutating func readHeader() throws(PithError) -> SegmentHeader? {
        let tag = try source.take(1)[0]
        if tag == ArchiveFormat.Tag.end {
            try end.check(&source)
            isAtEnd = true
            guard try source.takeAvailable(1).isEmpty else {
                throw .invalidStream("there is something behind the end, at byte \(source.offset - 1)")
            }
            return nil
        }
        let kind = tag & ~ArchiveFormat.Tag.model
        guard kind == ArchiveFormat.Tag.content || (kind == ArchiveFormat.Tag.directory && end == ArchiveEnd()) else {
            throw .invalidStream("no segment begins at byte \(source.offset - 1)")
        }
        let header = try SegmentHeader(tag: tag, from: &source)
        end.add(header)
        return header
    }

    /// What the segments are, without decoding them.
    public mutating func describe() throws(PithError) -> [SegmentDescription] {
        var result: [SegmentDescription] = []
        do throws(PithError) {
            while let header = try takeHeader() {
                result.append(
                    SegmentDescription(
                        spec: header.spec, count: header.count, storedCount: header.storedCount,
                        fingerprint: header.fingerprint))
                try source.skip(header.storedCount)
            }
        } catch { throw error.within(source.name) }
        return result
    }

    private mutating func takeHeader() throws(PithError) -> SegmentHeader? {
        if let header = next {
            next = nil
            return header
        }
        return isAtEnd ? nil : try readHeader()
    }

    /// Decodes everything and passes it on in order. Where something is damaged, what can be saved comes first, then
    /// how much is lost; behind a damaged segment the next ones are still decoded.
    ///
    /// Throws where the archive's own structure is damaged: nothing behind that can be found.
    public mutating func readContent(_ body: (Piece) throws(PithError) -> Void) throws(PithError) {
        do throws(PithError) {
            var (isDone, failure) = (false, PithError?.none)
            while !isDone {
                var wave: [(header: SegmentHeader, payload: Payload)] = []
                do throws(PithError) {
                    while wave.count < sideBySide(wave.map(\.header)) {
                        guard let header = try takeHeader() else {
                            isDone = true
                            break
                        }
                        wave.append((header, try readPayload(header)))
                    }
                } catch {
                    // First what was read before.
                    (isDone, failure) = (true, error)
                }
                for piece in try decode(wave) { try body(piece) }
            }
            if let failure { throw failure }
        } catch { throw error.within(source.name) }
    }

    /// How many segments may be decoded at a time, those that were read among them.
    private func sideBySide(_ headers: [SegmentHeader]) -> Int {
        guard let largest = headers.map(\.count).max() else { return 1 }
        guard let header = headers.first, let spec = try? Spec(parsing: header.spec),
            let method = try? DataCatalogue.method(for: spec)
        else { return 1 }
        return max(1, min(context.pool.threadCount, memoryLimit / (method.memory(for: largest) + 2 * largest)))
    }

    private struct Payload: Sendable {
        /// The payload up to the damage.
        var bytes: [UInt8]
        /// What is wrong with the rest.
        var damage: PithError?
    }

    /// Reads a payload up to the first damaged frame, and passes over the rest.
    private mutating func readPayload(_ header: SegmentHeader) throws(PithError) -> Payload {
        var payload = Payload(bytes: [])
        let start = source.offset
        guard header.isFramed else {
            payload.bytes = try source.takeAvailable(header.payloadCount)
            if payload.bytes.count < header.payloadCount { payload.damage = .truncated(at: source.offset) }
            return payload
        }
        while payload.bytes.count < header.payloadCount {
            let size = min(ArchiveFormat.frameSize, header.payloadCount - payload.bytes.count)
            let frame = try source.takeAvailable(size)
            let check = try source.takeAvailable(4)
            guard frame.count == size, check.count == 4 else {
                payload.damage = .truncated(at: source.offset)
                return payload
            }
            guard frame.withUnsafeBytes({ ArchiveFormat.check($0) }).bytes == check else {
                payload.damage = .data("the archive is damaged", at: "byte \(source.offset - size - 4)")
                try source.skip(start + header.storedCount - source.offset)
                return payload
            }
            payload.bytes += frame
        }
        return payload
    }

    private struct Decoded: Sendable {
        /// The whole content, if its checksum is right.
        var content: [UInt8]?
        /// What could be decoded before something went wrong.
        var saved: [UInt8] = []
        /// What went wrong.
        var failure: PithError?
    }

    private func decode(_ wave: [(header: SegmentHeader, payload: Payload)]) throws(PithError) -> [Piece] {
        var results = [Decoded?](repeating: nil, count: wave.count)
        var inner = context
        if wave.count > 1 { inner.pool = ThreadPool(threads: 1) }
        let (shared, limit) = (inner, memoryLimit)
        results.withUnsafeMutableBufferPointer { results in
            context.pool.forEachBlock(of: wave.count, grain: 1) { range in
                for index in range {
                    let (header, payload) = wave[index]
                    do throws(PithError) {
                        results[index] = try Self.decode(
                            header, payload.bytes, isCut: payload.damage != nil, shared, limit)
                    } catch { results[index] = Decoded(failure: error) }
                }
            }
        }
        return zip(wave, results).flatMap { part, result -> [Piece] in
            if let content = result?.content { return [.content(content)] }
            let saved = result?.saved ?? []
            let reason =
                part.payload.damage ?? result?.failure
                ?? .data("some of the bytes are wrong: their checksum differs", remedy: "the archive is damaged")
            if saved.count == part.header.count { return [.damaged(saved, reason)] }
            return [.content(saved), .lost(part.header.count - saved.count, reason)]
        }
    }

    /// Decodes a segment. Throws if that cannot be tried: another method, model or machine is needed.
    private static func decode(
        _ header: SegmentHeader, _ payload: [UInt8], isCut: Bool, _ context: CodingContext, _ memoryLimit: Int
    ) throws(PithError) -> Decoded {
        let method = try method(of: header, context)
        let memory = method.memory(for: header.count)
        guard memory <= memoryLimit else {
            throw .usage(
                "a segment coded by '\(header.spec)' needs \(ByteCount(memory))",
                remedy: "allow it with --memory-limit")
        }
        var decoded = Decoded()
        do throws(PithError) {
            try method.decode(
                CodedPayload(ByteRegion(copying: payload), isCut: isCut), count: header.count, into: &decoded.saved,
                context)
        } catch { decoded.failure = error }
        // What was decoded from a whole payload and has another checksum is wrong from some unknown place on.
        guard decoded.saved.count == header.count, XXHash64.hash(decoded.saved) == header.hash else {
            if !isCut && header.isFramed { decoded.saved = [] }
            return decoded
        }
        decoded.content = decoded.saved
        return decoded
    }

    private static func method(
        of header: SegmentHeader, _ context: CodingContext
    ) throws(PithError) -> any DataMethod {
        let method: any DataMethod
        do { method = try DataCatalogue.method(for: Spec(parsing: header.spec)) } catch {
            throw .data(
                "was coded by '\(header.spec)': \(error.message)", remedy: "a newer version of Pith may know the method"
            )
        }
        let found = try method.fingerprint(for: header.count, context)
        guard found == header.fingerprint else {
            func text(_ fingerprint: UInt64?) -> String { fingerprint.map { String($0, radix: 16) } ?? "none" }
            let what = method.modelName.map { "with the language model '\($0)'" } ?? "against a base"
            throw .data(
                "was coded \(what) of fingerprint \(text(header.fingerprint)); what is at hand has \(text(found))",
                remedy: "give the right one with " + (method.modelName == nil ? "--base FILE" : "--model FOLDER"))
        }
        return method
    }
}
