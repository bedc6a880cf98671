import PithCore
import PithFormats
import PithModels
import PithTensor

/// What compressing a model will come to, before it is done.
public struct CompressionPlan: Sendable {
    /// Matrices of one shape that stand at the same place of their layers and to which the same is done.
    public struct Kind: Sendable {
        /// The name, with `*` for the numbers in it.
        public var name: String
        /// [outputs, inputs].
        public var shape: [Int]
        /// How many there are.
        public var count: Int
        /// What is done to them.
        public var spec: String
        /// Bytes of all of them as they are.
        public var bytes: ByteCount
        /// Bytes of all of them as they will be stored, estimated from pieces.
        public var storedBytes: ByteCount
    }

    /// What is compressed, in the order of the model.
    public var kinds: [Kind]
    /// Bytes of the tensors that stay as they are.
    public var keptBytes: ByteCount
    /// Bytes of the folder that will be written, as far as names and texts can be foreseen.
    public var resultBytes: ByteCount
    /// The most memory that the program takes at any time.
    public var peakMemory: ByteCount
    /// What the disk must have free: for the folder, and for hidden states of the calibration text and parts meanwhile.
    public var diskBytes: ByteCount
    /// Tokens of calibration; 0 if nothing is calibrated.
    public var calibrationTokens: Int
    /// How often the calibration text runs through each layer.
    public var passes: Int
    /// Seconds that it takes on this machine, estimated from the operations and a short measurement, if that was made.
    public var seconds: Double?
    /// How the work on a layer is cut.
    package var schedule: LayerSchedule

    /// The plan for programs.
    public var json: JSONValue {
        [
            "kinds": .array(
                kinds.map { kind in
                    [
                        "name": .string(kind.name), "shape": .array(kind.shape.map { .integer($0) }),
                        "count": .integer(kind.count), "spec": .string(kind.spec),
                        "bytes": .integer(kind.bytes.value), "storedBytes": .integer(kind.storedBytes.value),
                    ]
                }),
            "keptBytes": .integer(keptBytes.value), "bytes": .integer(resultBytes.value),
            "peakMemoryBytes": .integer(peakMemory.value), "diskBytes": .integer(diskBytes.value),
            "calibrationTokens": .integer(calibrationTokens), "passes": .integer(passes),
            "seconds": seconds.map { .real($0) } ?? .null,
            "sequencesTogether": .integer(schedule.batchSize),
            "matricesTogether": .integer(schedule.matricesTogether),
        ]
    }
}

extension ModelCompressor {
    /// What compressing will come to. Throws where the limit of memory is too small.
    public func makePlan() throws(PithError) -> CompressionPlan { try makePlan(isTimed: true) }

    package func makePlan(isTimed: Bool) throws(PithError) -> CompressionPlan {
        try makePlan(calibrationTokens(), source.loadClosedModel(pool: pool), isTimed: isTimed)
    }

    func makePlan(
        _ tokens: CalibrationTokens?, _ model: LanguageModel, isTimed: Bool
    ) throws(PithError) -> CompressionPlan {
        let measured = try measuredKinds()
        let memory = CompressionMemory(
            compressor: self, model: model, tokens: tokens, storedBytes: measured.storedBytes)
        let (schedule, peak) = try memory.schedule(within: memoryLimit?.value)
        let kept = try keptBytes()
        let result = try measured.kinds.reduce(bytesBesideMatrices()) { $0 + $1.storedBytes.value }
        let hidden = (tokens?.rows ?? 0) * 4 * source.description.streamWidth
        let isJoined = result <= singleFileLimit
        let passes = 1 + (schedule.gathers.map(\.count).max() ?? 0)
        return CompressionPlan(
            kinds: measured.kinds, keptBytes: ByteCount(kept), resultBytes: ByteCount(result),
            peakMemory: ByteCount(peak), diskBytes: ByteCount(result * (isJoined ? 2 : 1) + 2 * hidden),
            calibrationTokens: tokens?.rows ?? 0, passes: tokens == nil ? 0 : passes,
            seconds: isTimed ? try seconds(measured, schedule, tokens, model) : nil, schedule: schedule)
    }

    /// Bytes of the folder beside the matrices and tables that are compressed, as far as they can be foreseen: names,
    /// shapes and checksums of tensors stand in heads, index and manifest.
    func bytesBesideMatrices() throws(PithError) -> Int {
        try keptBytes() + source.companionByteCount().value + 800 * source.description.parameters.count
    }

    /// Bytes of what stays as it is, as it will be stored.
    private func keptBytes() throws(PithError) -> Int {
        var bytes = 0
        for (index, spec) in source.description.parameters.enumerated() {
            guard try pipeline(for: ParameterID(index)) == nil else { continue }
            bytes += spec.count * (try source.folderPlace(of: ParameterID(index)).type.byteCount)
        }
        for tensor in try otherTensors() { bytes += tensor.contents.reduce(0) { $0 + $1.content.byteCount } }
        return bytes
    }
}

/// The kinds of matrices, what pieces of them came to, and what follows for each matrix.
struct MeasuredKinds {
    var kinds: [CompressionPlan.Kind] = []
    var storedBytes: [ParameterID: Int] = [:]
    var seconds: [ParameterID: Double] = [:]
}

extension ModelCompressor {
    /// Compresses pieces of the first matrix of each kind.
    func measuredKinds() throws(PithError) -> MeasuredKinds {
        var measured = MeasuredKinds()
        var places: [String: (place: Int, measurement: PieceMeasurement)] = [:]
        for (index, spec) in source.description.parameters.enumerated() {
            let id = ParameterID(index)
            guard let pipeline = try self.pipeline(for: id) else { continue }
            let name = Self.kind(of: spec.name)
            let key = "\(name) \(spec.shape) \(pipeline.spec)"
            if places[key] == nil {
                let measurement = try PieceMeasurement(
                    source.matrix(id, layouts: layouts), by: pipeline, roundedTo: form(of: id), seed: seed)
                source.releaseMemory(of: id)
                places[key] = (measured.kinds.count, measurement)
                measured.kinds.append(
                    .init(
                        name: name, shape: spec.shape, count: 0,
                        spec: [pipeline.spec.description, try form(of: id)?.name].compactMap { $0 }.joined(
                            separator: ", "),
                        bytes: ByteCount(0),
                        storedBytes: ByteCount(0)))
            }
            guard let (place, measurement) = places[key] else { continue }
            let bytes = measurement.bytes(rows: spec.shape[0], columns: spec.shape[1])
            measured.storedBytes[id] = bytes
            measured.seconds[id] = measurement.seconds(rows: spec.shape[0], columns: spec.shape[1])
            measured.kinds[place].count += 1
            measured.kinds[place].bytes.value += try source.fileBytes(of: id)
            measured.kinds[place].storedBytes.value += bytes
        }
        return measured
    }

    /// A name with `*` for the numbers in it.
    private static func kind(of name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false)
            .map { Int($0) == nil ? String($0) : "*" }.joined(separator: ".")
    }
}
