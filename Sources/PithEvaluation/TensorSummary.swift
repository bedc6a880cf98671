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
        guard tensor.type.dense != nil, tensor.count > 0 else { return }
        var elements = ElementSums()
        try tensor.region.forEachPiece(of: Self.elementsOfPiece * tensor.type.byteCount) { (bytes) throws(PithError) in
            let piece = StoredTensor(
                type: tensor.type, shape: [bytes.count / tensor.type.byteCount],
                region: ByteRegion(bytes, keptAliveBy: nil))
            elements.add(try piece.decoded().values)
        }
        describe(elements)
    }

    /// Elements that are decoded at a time.
    private static let elementsOfPiece = 1 << 20

    /// Bytes of memory that reading a tensor takes, however large it is.
    public static let memory = 32 << 20

    /// Reads a tensor of a GGUF file once.
    public init(_ tensor: GGUFTensor, of file: GGUFFile) throws(PithError) {
        name = tensor.name
        type = tensor.type?.name ?? "type \(tensor.typeNumber)"
        shape = tensor.shape
        bytes = ByteCount(tensor.byteCount)
        bitsPerByte = Self.entropy(file.region(of: tensor), period: tensor.type?.blockBytes ?? 1)
        guard let type = tensor.type, type.isDecodable, tensor.count > 0 else { return }
        var elements = ElementSums()
        let size = Self.elementsOfPiece / type.blockLength * type.blockBytes
        try file.region(of: tensor).forEachPiece(of: size) { (bytes) throws(PithError) in
            elements.add(try type.decoded(ByteRegion(bytes, keptAliveBy: nil)))
        }
        describe(elements)
    }

    /// What is added up of elements, in their order.
    private struct ElementSums {
        var (count, nonFinite, zeros) = (0, 0, 0)
        var (squares, peak) = (0.0, Float(0))

        mutating func add(_ values: [Float]) {
            count += values.count
            for value in values {
                if !value.isFinite { nonFinite += 1 }
                if value == 0 { zeros += 1 }
                squares += Double(value) * Double(value)
                peak = max(peak, abs(value))
            }
        }
    }

    private mutating func describe(_ elements: ElementSums) {
        nonFiniteCount = elements.nonFinite
        let root = (elements.squares / Double(elements.count)).squareRoot()
        rootMeanSquare = root
        peakRatio = root > 0 ? Double(elements.peak) / root : nil
        zeroShare = Double(elements.zeros) / Double(elements.count)
    }

    /// Mean entropy over the byte positions of an element or a block, which differ: exponents are far from uniform.
    private static func entropy(_ region: ByteRegion, period size: Int) -> Double {
        guard region.count > 0 else { return 0 }
        var histogram = [Int](repeating: 0, count: 256 * size)
        region.forEachPiece(of: size << 16) { bytes in
            for (i, byte) in bytes.enumerated() { histogram[i % size * 256 + Int(byte)] += 1 }
        }
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
