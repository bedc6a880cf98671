import PithCore
import PithFormats
import PithTensor

/// What can be said of a stored tensor at a glance.
public struct TensorSummary: Sendable {
    /// The tensor's name.
    public var name: String
    /// How its elements are written.
    public var type: String
    /// The extents.
    public var shape: [Int]
    /// Bytes on disk.
    public var bytes: ByteCount
    /// Entropy of the stored elements in bits for each byte of them: what an entropy coder without context would need.
    public var bitsPerByte: Double
    /// Root mean square of the elements; nil where they are no floats.
    public var rootMeanSquare: Double?
    /// The largest magnitude as a multiple of the root mean square: large values are outliers.
    public var peakRatio: Double?
    /// The share of elements that are zero.
    public var zeroShare: Double?
    /// Elements that are no finite numbers.
    public var nonFiniteCount = 0

    /// Reads the tensor once.
    public init(_ name: String, _ tensor: StoredTensor) throws(PithError) {
        self.name = name
        type = tensor.type.rawValue
        shape = tensor.shape
        bytes = ByteCount(tensor.byteCount)
        bitsPerByte = Self.entropy(tensor.region, period: tensor.type.byteCount)
        if tensor.type.dense != nil, tensor.count > 0 { describe(try tensor.decoded().values) }
    }

    /// Reads a tensor of a GGUF file once.
    public init(_ tensor: GGUFTensor, of file: GGUFFile) throws(PithError) {
        name = tensor.name
        type = tensor.type?.name ?? "type \(tensor.typeNumber)"
        shape = tensor.shape
        bytes = ByteCount(tensor.byteCount)
        bitsPerByte = Self.entropy(file.region(of: tensor), period: tensor.type?.blockBytes ?? 1)
        if tensor.type?.isDecodable == true, tensor.count > 0 { describe(try file.values(tensor.name).values) }
    }

    private mutating func describe(_ values: [Float]) {
        nonFiniteCount = values.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
        let (sum, peak, zeros) = values.reduce((0.0, Float(0), 0)) { state, value in
            (state.0 + Double(value) * Double(value), max(state.1, abs(value)), state.2 + (value == 0 ? 1 : 0))
        }
        let root = (sum / Double(values.count)).squareRoot()
        rootMeanSquare = root
        peakRatio = root > 0 ? Double(peak) / root : nil
        zeroShare = Double(zeros) / Double(values.count)
    }

    /// Mean entropy over the byte positions of an element or a block, which differ: exponents are far from uniform.
    private static func entropy(_ region: ByteRegion, period size: Int) -> Double {
        guard region.count > 0 else { return 0 }
        var histogram = [Int](repeating: 0, count: 256 * size)
        for (i, byte) in region.bytes.enumerated() { histogram[i % size * 256 + Int(byte)] += 1 }
        let total = Double(region.count / size)
        let nats = histogram.reduce(0.0) { sum, count in
            count == 0 ? sum : sum - Double(count) / total * naturalLogarithm(Double(count) / total)
        }
        return nats / naturalLogarithm(2) / Double(size)
    }

    /// The columns of the table for people.
    public static let header = ["tensor", "type", "shape", "size", "entropy", "rms", "peak/rms", "zeros"]

    /// The cells of the table for people.
    public var cells: [String] {
        [
            name, type, shape.map(String.init).joined(separator: "×"), bytes.description,
            "\((bitsPerByte / 8 * 100).formatted(decimals: 0)) %", rootMeanSquare?.formatted(significant: 3) ?? "",
            peakRatio?.formatted(decimals: 1) ?? "", zeroShare.map { "\(($0 * 100).formatted(decimals: 1)) %" } ?? "",
        ]
    }

    /// The summary for programs.
    public var json: JSONValue {
        func figure(_ value: Double?) -> JSONValue { value.map { $0.isFinite ? .real($0) : .null } ?? .null }
        return [
            "name": .string(name), "type": .string(type), "shape": .array(shape.map { .integer($0) }),
            "bytes": .integer(bytes.value), "entropyBitsPerByte": figure(bitsPerByte),
            "rootMeanSquare": figure(rootMeanSquare), "peakRatio": figure(peakRatio), "zeroShare": figure(zeroShare),
            "nonFinite": .integer(nonFiniteCount),
        ]
    }
}
