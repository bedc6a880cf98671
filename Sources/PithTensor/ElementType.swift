import CPithKernels
import PithCore

/// How the elements of a stored tensor are written: the names of safetensors.
public enum ElementType: String, CaseIterable, Sendable {
    /// Truth values, a byte each.
    case bool = "BOOL"
    /// Bytes.
    case uint8 = "U8"
    /// Signed bytes.
    case int8 = "I8"
    /// FP8 with 5 exponent bits.
    case float8e5m2 = "F8_E5M2"
    /// FP8 with 4 exponent bits.
    case float8e4m3 = "F8_E4M3"
    /// 16-bit integers.
    case int16 = "I16"
    /// Unsigned 16-bit integers.
    case uint16 = "U16"
    /// IEEE half precision.
    case float16 = "F16"
    /// bfloat16.
    case bfloat16 = "BF16"
    /// 32-bit integers.
    case int32 = "I32"
    /// Unsigned 32-bit integers.
    case uint32 = "U32"
    /// IEEE single precision.
    case float32 = "F32"
    /// IEEE double precision.
    case float64 = "F64"
    /// 64-bit integers.
    case int64 = "I64"
    /// Unsigned 64-bit integers.
    case uint64 = "U64"

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8e5m2, .float8e4m3: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    /// The kernels' name of floats; nil for other types.
    public var floating: pith_element? {
        switch self {
        case .float8e4m3: PITH_F8_E4M3
        case .float8e5m2: PITH_F8_E5M2
        default: dense
        }
    }

    /// The kernels' name of floats that need no scale beside them: F32, F16 and BF16.
    public var dense: pith_element? {
        switch self {
        case .float32: PITH_F32
        case .float16: PITH_F16
        case .bfloat16: PITH_BF16
        default: nil
        }
    }
}
