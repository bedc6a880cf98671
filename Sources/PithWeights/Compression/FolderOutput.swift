import PithCore
import PithFormats
import PithModels
import PithTensor

/// A compressed model as a folder: a file of weights for each part and their index, or one file if all is small.
struct FolderOutput: CompressionOutput {
    private let source: ModelSource
    /// The manifest, which lacks what parts and calibration add.
    private let manifest: CompressionManifest
    private let work: CompressionWork
    private let pool: ThreadPool
    private let singleFileLimit: Int
    private let partCount: Int
    /// What was written of each part: the forms of its matrices and the checksums of its tensors.
    private var records: [Int: CompressionManifest] = [:]

    private static let metadata = ["format": "pith"]

    /// Takes up what earlier work has written; throws if that is damaged.
    init(
        _ source: ModelSource, _ manifest: CompressionManifest, in work: CompressionWork,
        singleFileLimit: Int, pool: ThreadPool
    ) throws(PithError) {
        (self.source, self.manifest, self.work, self.pool) = (source, manifest, work, pool)
        self.singleFileLimit = singleFileLimit
        partCount = source.description.layers.count + 1
        try Files.makeFolder(work.modelFolder)
        for part in 0..<partCount where Files.exists(recordPath(part)) { records[part] = try record(part) }
    }

    private func record(_ part: Int) throws(PithError) -> CompressionManifest {
        let record: CompressionManifest
        let path = recordPath(part)
        do { record = try CompressionManifest(json: JSONValue(contentsOf: path)) } catch { throw error.within(path) }
        // Once all is in one file parts may be gone.
        if !Files.exists(singlePath) { try record.checksums?.verify(SafetensorsFile(partPath(part))) }
        return record
    }

    private func partName(_ part: Int) -> String {
        func padded(_ number: Int) -> String { String(String(100_000 + number).dropFirst()) }
        return "model-\(padded(part + 1))-of-\(padded(partCount)).safetensors"
    }
    private func partPath(_ part: Int) -> String { joinPath(work.modelFolder, partName(part)) }
    private var singlePath: String { joinPath(work.modelFolder, TensorArchive.fileName) }
    private func recordPath(_ part: Int) -> String { joinPath(work.folder, "part-\(part).json") }

    func isWritten(_ part: Int) -> Bool { records[part] != nil }

    mutating func write(_ part: Int, _ tensors: [FinishedTensor]) throws(PithError) {
        var hashes: [String: XXHash64] = [:]
        try SafetensorsWriter.write(
            contents: tensors.flatMap(\.contents), metadata: Self.metadata, to: partPath(part)
        ) { name, piece in hashes[name, default: XXHash64()].update(piece) }
        var record = manifest
        for case (let name, .matrix(let matrix)) in tensors.map({ ($0.name, $0.value) }) {
            record.weights[name] = .init(matrix)
        }
        // What has no bytes was never seen.
        for (name, _) in tensors.flatMap(\.contents) where hashes[name] == nil { hashes[name] = XXHash64() }
        record.checksums = StoredChecksums(hashes.mapValues(\.value))
        // The part counts from here on.
        try AtomicFile.write(record.json.compactText, to: recordPath(part))
        records[part] = record
    }

    func matrices(of part: Int) throws(PithError) -> [String: any LinearOperator] {
        let path = partPath(part)
        let file = try SafetensorsFile(path)
        var layouts = WeightLayouts.catalogue
        layouts.pool = pool
        var matrices: [String: any LinearOperator] = [:]
        for (name, form) in records[part]?.weights ?? [:] {
            matrices[name] = try form.open(name, layouts: layouts) { (name) throws(PithError) in
                guard let tensor = file[name] else { throw .data("the tensor '\(name)' is missing", at: path) }
                return tensor
            }
        }
        return matrices
    }

    func finish(at target: String, calibration: CompressionManifest.CalibrationRecord?) throws(PithError) {
        try source.writeCompanions(to: work.modelFolder)
        if !Files.exists(singlePath) { try joinIfSmall() }
        if Files.exists(singlePath) {
            for part in 0..<partCount { try Files.remove(partPath(part)) }
        } else {
            try writeIndex()
        }
        var manifest = manifest
        manifest.calibration = calibration
        var checksums: [String: UInt64] = [:]
        for record in records.values {
            manifest.weights.merge(record.weights) { first, _ in first }
            checksums.merge(record.checksums?.values ?? [:]) { first, _ in first }
        }
        manifest.checksums = StoredChecksums(checksums)
        try AtomicFile.write(
            manifest.json.prettyText, to: joinPath(work.modelFolder, CompressionManifest.fileName))
        try work.finish(at: target)
    }

    /// Puts the tensors of all parts into one file if these are small.
    private func joinIfSmall() throws(PithError) {
        let files = try (0..<partCount).map { (part) throws(PithError) in try SafetensorsFile(partPath(part)) }
        guard files.reduce(0, { $0 + $1.size.value }) <= singleFileLimit else { return }
        let contents = files.flatMap { file in
            file.names.compactMap { name in file[name].map { (name: name, content: TensorContent($0)) } }
        }
        try SafetensorsWriter.write(contents: contents, metadata: Self.metadata, to: singlePath)
    }

    private func writeIndex() throws(PithError) {
        var (map, total) = (JSONObject(), 0)
        var places: [(name: String, file: String)] = []
        for part in 0..<partCount {
            let file = try SafetensorsFile(partPath(part))
            places += file.names.map { ($0, partName(part)) }
            total += file.names.reduce(0) { $0 + (file[$1]?.byteCount ?? 0) }
        }
        for (name, file) in places.sorted(by: { $0.name < $1.name }) { map[name] = .string(file) }
        let index: JSONValue = ["metadata": ["total_size": .integer(total)], "weight_map": .object(map)]
        try index.write(to: joinPath(work.modelFolder, TensorArchive.indexName))
    }
}
