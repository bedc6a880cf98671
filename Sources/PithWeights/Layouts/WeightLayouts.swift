import PithCore
import PithModels
import PithTensor

/// The stored forms of matrices that Pith writes and reads.
public enum WeightLayouts {
    /// All layouts, the dense one included.
    public static let catalogue = LayoutCatalogue(
        [
            DenseOperator.self, ScaledFloats.self, GroupedCodes.self, MaskedCodes.self, TileCodes.self,
            CodebookCodes.self,
            TernaryCodes.self, VectorCodes.self, BitmaskSparse.self, PatternSparse.self, BlockCodes.self,
            WordCodes.self,
            ReorderedColumns.self, LowRank.self, SumOperator.self, ProductOperator.self, LosslessMatrix.self,
            EntropyCoded.self,
        ], formats: CheckpointCatalogue.all)
}

/// The largest extent of a stored matrix: products of an extent with a small number then never overflow.
let largestExtent = Int(Int32.max)

/// Checks that `shape` has two extents of a sane size.
func matrixExtents(_ shape: [Int]) throws(PithError) -> (rows: Int, columns: Int) {
    guard shape.count == 2, shape.allSatisfy({ (0...largestExtent).contains($0) }) else {
        throw .data("the shape \(shape) is no matrix", remedy: "two extents up to \(largestExtent) are understood")
    }
    return (shape[0], shape[1])
}

extension UnsafeBufferPointer where Element: FixedWidthInteger {
    /// The largest element, 0 if there is none. A loop that the compiler turns into vectors: files are checked with
    /// it when they are opened.
    var largest: Element {
        var result: Element = 0
        for element in self { result = Swift.max(result, element) }
        return result
    }
}

extension StoredTensor {
    /// The same elements at an address that suits their type; files may hold them at any.
    var aligned: StoredTensor {
        guard let base = region.bytes.baseAddress, Int(bitPattern: base) % type.byteCount != 0 else { return self }
        return StoredTensor(type: type, shape: shape, region: ByteRegion(copying: Array(region.bytes)))
    }

    /// The elements of a U16, F16 or BF16 tensor as 16-bit patterns.
    var bitPatterns: UnsafeBufferPointer<UInt16> { region.bytes.assumingMemoryBound(to: UInt16.self) }

    /// The elements of a tensor of bytes.
    var byteValues: UnsafeBufferPointer<UInt8> { region.bytes.assumingMemoryBound(to: UInt8.self) }

    /// A tensor of integers, little-endian.
    init<Integer: FixedWidthInteger & BitwiseCopyable>(_ integers: [Integer], as type: ElementType, shape: [Int]) {
        self.init(type: type, shape: shape, region: ByteRegion(copying: integers.map(\.littleEndian)))
    }

    /// Whether all elements of a tensor of floats are finite.
    var isFinite: Bool {
        switch type {
        case .float8e4m3: byteValues.allSatisfy { $0 & 0x7F != 0x7F }
        case .float8e5m2: byteValues.allSatisfy { $0 & 0x7C != 0x7C }
        case .float16: bitPatterns.allSatisfy { $0 & 0x7C00 != 0x7C00 }
        case .bfloat16: bitPatterns.allSatisfy { $0 & 0x7F80 != 0x7F80 }
        default: region.bytes.assumingMemoryBound(to: Float.self).allSatisfy(\.isFinite)
        }
    }
}
