import PithCore
import PithTensor

/// How the elements of a GGUF tensor are written, by the number that stands in files. Source: ggml, include/ggml.h and
/// src/ggml-common.h.
public enum GGUFType: UInt32, CaseIterable, Sendable {
    /// Floats and whole numbers, one by one.
    case float32 = 0, float16 = 1, bfloat16 = 30, float64 = 28
    case int8 = 24, int16 = 25, int32 = 26, int64 = 27
    /// Blocks of 32 weights with a scale, and a minimum where the name ends with 1.
    case q40 = 2, q41 = 3, q50 = 6, q51 = 7, q80 = 8, q81 = 9
    /// Blocks of 256 weights with scales of two levels.
    case q2K = 10, q3K = 11, q4K = 12, q5K = 13, q6K = 14, q8K = 15
    /// Codes that name the entries of a table.
    case iq4NL = 20, iq4XS = 23, mxfp4 = 39
    /// Codes that name vectors, which are not decoded here.
    case iq2XXS = 16, iq2XS = 17, iq3XXS = 18, iq1S = 19, iq3S = 21, iq2S = 22, iq1M = 29
    /// Ternary codes, which are not decoded here.
    case tq10 = 34, tq20 = 35

    private typealias Row = (name: String, length: Int, bytes: Int, element: ElementType?, form: GGUFBlockForm?)

    private var row: Row {
        switch self {
        case .float32: ("F32", 1, 4, .float32, nil)
        case .float16: ("F16", 1, 2, .float16, nil)
        case .bfloat16: ("BF16", 1, 2, .bfloat16, nil)
        case .float64: ("F64", 1, 8, .float64, nil)
        case .int8: ("I8", 1, 1, .int8, nil)
        case .int16: ("I16", 1, 2, .int16, nil)
        case .int32: ("I32", 1, 4, .int32, nil)
        case .int64: ("I64", 1, 8, .int64, nil)
        case .q40: ("Q4_0", 32, 18, nil, GGUFBlockForm(bits: 4, zero: 8, split: splitQ40))
        case .q41: ("Q4_1", 32, 20, nil, GGUFBlockForm(.minimum, bits: 4, split: splitQ41))
        case .q50: ("Q5_0", 32, 22, nil, GGUFBlockForm(bits: 5, zero: 16, split: splitQ50))
        case .q51: ("Q5_1", 32, 24, nil, GGUFBlockForm(.minimum, bits: 5, split: splitQ51))
        case .q80: ("Q8_0", 32, 34, nil, GGUFBlockForm(bits: 8, zero: 128, split: splitQ80))
        case .q81: ("Q8_1", 32, 36, nil, nil)
        case .q2K: ("Q2_K", 256, 84, nil, GGUFBlockForm(.halfMinima, bits: 2, split: splitQ2K))
        case .q3K: ("Q3_K", 256, 110, nil, GGUFBlockForm(.halfFactors, bits: 3, zero: 4, split: splitQ3K))
        case .q4K: ("Q4_K", 256, 144, nil, GGUFBlockForm(.factorMinima, bits: 4, split: splitQ4K))
        case .q5K: ("Q5_K", 256, 176, nil, GGUFBlockForm(.factorMinima, bits: 5, split: splitQ5K))
        case .q6K: ("Q6_K", 256, 210, nil, GGUFBlockForm(.halfFactors, bits: 6, zero: 32, split: splitQ6K))
        case .q8K: ("Q8_K", 256, 292, nil, nil)
        case .iq4NL: ("IQ4_NL", 32, 18, nil, GGUFBlockForm(bits: 4, codebook: fourBitEntries, split: splitQ40))
        case .iq4XS:
            ("IQ4_XS", 256, 136, nil, GGUFBlockForm(.factors, bits: 4, codebook: fourBitEntries, split: splitIQ4XS))
        case .mxfp4:
            ("MXFP4", 32, 17, nil, GGUFBlockForm(.exponent, bits: 4, codebook: floatEntries, split: splitMXFP4))
        case .iq2XXS: ("IQ2_XXS", 256, 66, nil, nil)
        case .iq2XS: ("IQ2_XS", 256, 74, nil, nil)
        case .iq2S: ("IQ2_S", 256, 82, nil, nil)
        case .iq3XXS: ("IQ3_XXS", 256, 98, nil, nil)
        case .iq3S: ("IQ3_S", 256, 110, nil, nil)
        case .iq1S: ("IQ1_S", 256, 50, nil, nil)
        case .iq1M: ("IQ1_M", 256, 56, nil, nil)
        case .tq10: ("TQ1_0", 256, 54, nil, nil)
        case .tq20: ("TQ2_0", 256, 66, nil, nil)
        }
    }

    /// The name, as others write it.
    public var name: String { row.name }
    /// Elements of a block, 1 where they stand alone. Rows are whole blocks.
    public var blockLength: Int { row.length }
    /// Bytes of a block.
    public var blockBytes: Int { row.bytes }
    /// The type of elements that stand alone.
    public var element: ElementType? { row.element }
    /// How blocks are made of codes and scales; nil where elements stand alone, and where they are not decoded here.
    package var form: GGUFBlockForm? { row.form }

    /// Whether elements can be decoded to floats.
    public var isDecodable: Bool { form != nil || element?.floating != nil }
    /// The names of those types.
    static var decodableNames: String { allCases.filter(\.isDecodable).map(\.name).joined(separator: ", ") }

    /// The elements in `region`, whole blocks, as floats: one after the other in plain arithmetic, which is what the
    /// kernels are compared with.
    public func decoded(_ region: ByteRegion) throws(PithError) -> [Float] {
        if let element, element.floating != nil {
            let count = region.count / element.byteCount
            return try StoredTensor(
                type: element, shape: [count], region: region[0..<count * element.byteCount]
            ).decoded().values
        }
        guard let form else {
            throw .data("\(name) is not decoded", remedy: "\(Self.decodableNames) are")
        }
        return region.withBytes { bytes in
            GGUFBlockPieces.withPieces { pieces in
                (0..<bytes.count / blockBytes).flatMap { block -> [Float] in
                    form.split(bytes.baseAddress! + block * blockBytes, pieces)
                    return form.codes.weights(pieces, count: blockLength)
                }
            }
        }
    }
}

/// What the codes of IQ4_NL and IQ4_XS name.
private let fourBitEntries: [Int8] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
]
/// What the codes of MXFP4 name: floats of 1, 2 and 1 bits, doubled.
private let floatEntries: [Int8] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
