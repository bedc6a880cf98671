import PithArchive
import PithCore
import PithFormats
import PithModels
import PithPredictors
import PithTensor
import PithTokens
import PithTraining

extension Reader {
    private static let context = CodingContext(pool: pool)
    private static let limits: ReadingLimits = {
        var limits = ReadingLimits()
        (limits.memory, limits.output) = (64 << 20, 16 << 20)
        return limits
    }()

    /// Archives, read as they are and for what can be saved.
    static let archives = Reader(
        "archives", slack: 64 << 20,
        seeds: {
            let scratch = try Scratch()
            for (index, content) in sampleContents.enumerated() {
                _ = try scratch.file("f/\(index).bin", content)
            }
            return try [
                ArchiveInput(paths: [BytePath(joinPath(scratch.path, "f"))]),
                ArchiveInput(ByteRegion(copying: sampleContents[0])),
            ]
            .map { input in
                let sink = MemorySink()
                var options = ZipOptions()
                options.level = .fast
                try Zip.write(input, to: sink, options, context)
                return sink.bytes
            }
        }
    ) { (bytes, scratch) throws(PithError) in
        for isSalvaging in [false, true] {
            let source = ArchiveSource(ByteRegion(copying: bytes))
            do throws(PithError) {
                var described = try ArchiveReader(source, context, limits: limits, salvaging: isSalvaging)
                _ = try described.describe()
                var reader = try ArchiveReader(source, context, limits: limits, salvaging: isSalvaging)
                guard reader.directory != nil else {
                    _ = try Unzip.write(&reader, to: MemorySink())
                    continue
                }
                try scratch.clear()
                _ = try Unzip.extract(&reader, into: BytePath(joinPath(scratch.path, "out")))
            } catch { if isSalvaging { throw error } }
        }
    }

    private static let sampleContents: [[UInt8]] = {
        let text = Array(String(repeating: "The quick brown fox, and 12 lazy dogs. ", count: 12).utf8)
        let table = Array((0..<60).map { "\($0),\($0 % 5),\($0 * 37 % 11)\n" }.joined().utf8)
        let floats = (0..<300).flatMap { Seeds.bytes((Float($0 % 23) / 7 - 1).bitPattern) }
        return [text, table, floats]
    }()

    /// What methods of the data plane make, without the checksums of an archive: a byte that names the method, two that
    /// say how much comes out, and the payload.
    static let payloads = Reader(
        "payloads", slack: 64 << 20,
        seeds: {
            try DataCatalogue.all.indices.flatMap { index in
                try sampleContents.compactMap { content in
                    let method = try DataCatalogue.method(for: Spec(parsing: DataCatalogue.all[index].identifier))
                    guard let payload = try? method.encode(content, context) else { return nil }
                    return [UInt8(index)] + Seeds.bytes(UInt16(content.count)) + payload
                }
            }
        }
    ) { (bytes, _) throws(PithError) in
        guard bytes.count >= 3 else { return }
        let name = DataCatalogue.all[Int(bytes[0]) % DataCatalogue.all.count].identifier
        let method = try DataCatalogue.method(for: Spec(parsing: name))
        let count = Int(bytes[1]) | Int(bytes[2] & 15) << 8
        guard method.memory(for: count, context) <= 200 << 20 else { return }
        var refusal: PithError?
        for isCut in [true, false] {
            var output: [UInt8] = []
            let payload = CodedPayload(ByteRegion(copying: Array(bytes[3...])), isCut: isCut)
            do throws(PithError) { try method.decode(payload, count: count, into: &output, context) } catch {
                refusal = isCut ? nil : error
            }
            precondition(output.count <= count, "more comes out than was announced")
        }
        if let refusal { throw refusal }
    }

    static let tokenFiles = Reader(
        "token-files",
        seeds: {
            let scratch = try Scratch()
            let path = joinPath(scratch.path, "a.safetensors")
            let text = TokenizedText(tokens: [1, 2, 3, 0, 4], byteCount: 11)
            try TokenFile(training: text, heldOut: text, vocabularySize: 5, method: "equal-info").write(to: path)
            return [try Files.bytes(path)]
        }
    ) { (bytes, scratch) throws(PithError) in
        let file = try TokenFile(contentsOf: scratch.file("a.safetensors", bytes))
        for text in [file.training, file.heldOut] {
            precondition(text.tokens.allSatisfy { (0..<file.vocabularySize).contains(Int($0)) }, "a token that is none")
        }
    }

    static let byteModels = Reader(
        "byte-models",
        seeds: {
            try [0, 2, 4].map { order in
                try ByteContextModel(learning: [sampleContents[0][...]], order: order).fileBytes
            }
        }
    ) { (bytes, _) throws(PithError) in
        let model = try ByteContextModel(fileBytes: bytes)
        let windows = try EqualInfoWindows(model: model, bits: 12)
        let text = "The lazy fox\u{0}ü"
        let decoded = try windows.decode(windows.encode(Array(text.utf8)))
        precondition(decoded.starts(with: text.utf8), "windows give another text back")
    }

    /// Tokens of any numbers, turned back.
    static let tokenStreams = Reader(
        "token-streams", seeds: { [(0..<200).flatMap { Seeds.bytes(UInt16($0 * 7)) }] }
    ) { (bytes, _) throws(PithError) in
        guard let first = bytes.first else { return }
        let tokens = stride(from: 1, to: bytes.count - 1, by: 2).map { Int32(bytes[$0]) | Int32(bytes[$0 + 1]) << 8 }
        switch first % 2 {
        case 0:
            let model = try ByteContextModel(learning: [Array("abc abc abd".utf8)[...]], order: 2)
            _ = try TokenStream(EqualInfoWindows(model: model, bits: 16), tokenBits: 8).decode(
                tokens.dropLast(tokens.count % 2).map { $0 % 256 })
        default: _ = try MetaTokens(vocabularySize: 300, metaTokenCount: 32).expand(tokens.map { $0 % 333 })
        }
    }
}
