import PithCoding
import PithCore
import PithPredictors

/// The payload of a segment.
struct Payload: Sendable {
    /// The payload up to the damage.
    private(set) var bytes: [UInt8] = []
    /// What is wrong with the rest.
    private(set) var damage: PithError?

    /// Reads a payload up to the first damaged frame, and passes over the rest.
    init(_ header: SegmentHeader, from source: inout ArchiveSource) throws(PithError) {
        let start = source.offset
        guard header.isFramed else {
            bytes = try source.takeAvailable(header.payloadCount)
            if bytes.count < header.payloadCount { damage = .truncated(at: source.offset) }
            return
        }
        while bytes.count < header.payloadCount {
            let size = min(ArchiveFormat.frameSize, header.payloadCount - bytes.count)
            let frame = try source.takeAvailable(size)
            let check = try source.takeAvailable(4)
            guard frame.count == size, check.count == 4 else {
                damage = .truncated(at: source.offset)
                return
            }
            guard frame.withUnsafeBytes({ ArchiveFormat.check($0) }).bytes == check else {
                damage = .data("the archive is damaged", at: "byte \(source.offset - size - 4)")
                let left = start + header.storedCount - source.offset
                try source.skip(min(left, source.count.map { $0 - source.offset } ?? left))
                return
            }
            bytes += frame
        }
    }
}

/// Decodes segments, some of them side by side.
struct SegmentDecoder {
    let context: CodingContext
    /// Bytes of memory that decoding may take, and those that the program has taken already.
    let memoryLimit, memoryTaken: Int

    /// What came of a segment.
    struct Decoded: Sendable {
        /// The whole content, if its checksum is right.
        var content: [UInt8]?
        /// What could be decoded before something went wrong.
        var saved: [UInt8] = []
        /// What went wrong.
        var failure: PithError?
    }

    /// Decodes segments and says what came of each.
    func decode(_ wave: [(header: SegmentHeader, payload: Payload)]) throws(PithError) -> [[ArchiveReader.Piece]] {
        var inner = self
        if wave.count > 1 {
            inner = SegmentDecoder(context: context.onOneThread, memoryLimit: memoryLimit, memoryTaken: memoryTaken)
        }
        let decoder = inner
        let share = SegmentWork.share(of: wave.map { $0.header.time(context) })
        let results = context.pool.map(wave.count) { index in
            do throws(PithError) {
                return try decoder.decode(wave[index].header, wave[index].payload, share: share)
            } catch { return Decoded(failure: error) }
        }
        return zip(wave, results).map { part, result -> [ArchiveReader.Piece] in
            if let content = result.content { return [.content(content)] }
            let saved = result.saved
            let reason =
                part.payload.damage ?? result.failure
                ?? .data("some of the bytes are wrong: their checksum differs", remedy: "the archive is damaged")
            if saved.count == part.header.count { return [.damaged(saved, reason)] }
            return [.content(saved), .lost(part.header.count - saved.count, reason)]
        }
    }

    /// Decodes a segment. Throws if that cannot be tried: another method, model or machine is needed.
    ///
    /// Of the progress that the context is told of, `share` counts: other segments are decoded beside.
    func decode(_ header: SegmentHeader, _ payload: Payload, share: Double = 0) throws(PithError) -> Decoded {
        let method = try method(of: header)
        let memory = try SegmentWork(method: method, count: header.count).memory(context)
        guard memory <= memoryLimit else {
            throw .usage(
                "a segment coded by '\(header.spec.printable)' needs \(ByteCount(memory + memoryTaken))",
                remedy: "allow it with --memory-limit")
        }
        let context = context.weighed(by: method, share: share)
        let isCut = payload.damage != nil
        var decoded = Decoded()
        do throws(PithError) {
            try method.decode(
                CodedPayload(ByteRegion(copying: payload.bytes), isCut: isCut), count: header.count,
                into: &decoded.saved, context)
        } catch { decoded.failure = error }
        // What was decoded from a whole payload and has another checksum is wrong from some unknown place on.
        guard decoded.saved.count == header.count, XXHash64.hash(decoded.saved) == header.hash else {
            if !isCut && header.isFramed { decoded.saved = [] }
            return decoded
        }
        decoded.content = decoded.saved
        return decoded
    }

    private func method(of header: SegmentHeader) throws(PithError) -> any DataMethod {
        let method: any DataMethod
        do { method = try DataCatalogue.method(for: Spec(parsing: header.spec)) } catch {
            throw .data(
                "was coded by '\(header.spec.printable)': \(error.message)",
                remedy: "a newer version of Pith may know the method")
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

// What cannot be decoded is decoded alone, in no time, and then says why.
extension SegmentHeader: SegmentLoad {
    func memory(_ context: CodingContext) -> Int { (try? SegmentWork(self)?.memory(context)) ?? .max }

    func time(_ context: CodingContext) -> Int { SegmentWork(self)?.time(context) ?? 0 }
}

extension CodingContext {
    /// The same for one of several that work side by side.
    var onOneThread: CodingContext {
        var context = self
        context.pool = ThreadPool(threads: 1)
        return context
    }
}
