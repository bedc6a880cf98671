import CPithKernels
import PithCore

/// A tensor as it lies in a file: a type, a shape and bytes (little-endian, row-major), often mapped.
public struct StoredTensor: Sendable {
    /// How the elements are written.
    public let type: ElementType
    /// The extents, outermost first.
    public let shape: [Int]
    /// The bytes.
    public let region: ByteRegion

    /// A tensor over bytes that fit the shape.
    public init(type: ElementType, shape: [Int], region: ByteRegion) {
        precondition(region.count == shape.reduce(1, *) * type.byteCount, "bytes do not fit the shape")
        self.type = type
        self.shape = shape
        self.region = region
    }

    /// Bytes as a tensor of one or more extents.
    public init(bytes: [UInt8], shape: [Int]) {
        self.init(type: .uint8, shape: shape, region: ByteRegion(copying: bytes))
    }

    /// Floats, rounded to `type`, a type of floats.
    public init(_ tensor: Tensor, as type: ElementType = .float32) {
        guard let element = type.floating else { preconditionFailure("floats are not written as \(type.rawValue)") }
        let target = [UInt8](unsafeUninitializedCapacity: tensor.count * type.byteCount) { buffer, count in
            if tensor.count > 0 {
                kernels.narrow(tensor.values, element, Int64(tensor.count), buffer.baseAddress!)
            }
            count = tensor.count * type.byteCount
        }
        self.init(type: type, shape: tensor.shape, region: ByteRegion(copying: target))
    }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// The number of bytes.
    public var byteCount: Int { region.count }

    /// The elements as floats; only for floats of up to 32 bits.
    public func decoded() throws(PithError) -> Tensor {
        guard let element = type.floating else {
            throw .data(
                "elements of type \(type.rawValue) are no floats", remedy: "F32, F16, BF16 and FP8 are understood")
        }
        try Memory.require(count * MemoryLayout<Float>.stride, for: "\(shape) weights in single precision")
        let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            if count > 0 { kernels.widen(region.bytes.baseAddress!, element, Int64(count), buffer.baseAddress!) }
            initialized = count
        }
        return Tensor(shape: shape, values: values)
    }
}

/// Rounds floats to half precision and back, as they will be when stored.
public func roundedToHalf(_ values: [Float]) -> [Float] {
    guard !values.isEmpty else { return [] }
    let halves = halfBits(values)
    return [Float](unsafeUninitializedCapacity: values.count) { buffer, count in
        kernels.widen(halves, PITH_F16, Int64(values.count), buffer.baseAddress!)
        count = values.count
    }
}

/// The bits of floats in half precision.
public func halfBits(_ values: [Float]) -> [UInt16] {
    guard !values.isEmpty else { return [] }
    return [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
        kernels.narrow(values, PITH_F16, Int64(values.count), buffer.baseAddress!)
        count = values.count
    }
}
