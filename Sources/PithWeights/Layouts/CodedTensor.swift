import PithCoding
import PithCore
import PithModels
import PithTensor

/// A tensor as entropy-coded bytes, which say of themselves what they hold.
///
/// The element type's number, the arrangement, the number of extents (a byte each), the extents (4 bytes each,
/// little-endian), then what `LosslessFloats` makes of the elements as they are arranged.
struct CodedTensor {
    /// How elements are ordered before they are coded, so that like stands with like.
    enum Arrangement: Equatable {
        /// As they are.
        case plain
        /// Tiles of 512 codes of so many bits, which lie in planes: as whole codes, as many in a byte as fit.
        case codes(bits: Int)
        /// Runs of 64 bytes that belong to so many codebooks in turn: codebook by codebook.
        case codebooks(Int)
    }

    private static let types: [ElementType] = [
        .uint8, .int8, .float8e4m3, .float8e5m2, .uint16, .float16, .bfloat16, .uint32, .float32,
    ]
    private static let mostExtents = 8

    /// The coded bytes.
    let bytes: [UInt8]

    /// Codes a tensor; nil if its elements are of a type that no layout has.
    init?(_ tensor: StoredTensor, _ arrangement: Arrangement, pool: ThreadPool) throws(PithError) {
        guard let type = Self.types.firstIndex(of: tensor.type), tensor.shape.count <= Self.mostExtents else {
            return nil
        }
        var bytes = [UInt8(type), arrangement.number, UInt8(tensor.shape.count)]
        for extent in tensor.shape {
            guard let extent = UInt32(exactly: extent) else { return nil }
            withUnsafeBytes(of: extent.littleEndian) { bytes += $0 }
        }
        let arranged = arrangement == .plain ? tensor : StoredTensor(bytes: arrangement.arranged(tensor.region))
        self.bytes = bytes + (try LosslessFloats.compress(arranged, pool: pool))
    }

    /// The tensor that `region` was made from. Every byte is checked, and there is a checksum over the elements.
    static func decode(_ region: ByteRegion, pool: ThreadPool) throws(PithError) -> StoredTensor {
        let (type, arrangement, shape, end) = try region.withBytes { (bytes) throws(PithError) in
            guard bytes.count >= 3, Int(bytes[0]) < types.count, let arrangement = Arrangement(number: bytes[1]),
                Int(bytes[2]) <= mostExtents, bytes.count >= 3 + 4 * Int(bytes[2])
            else { throw .data("its head is damaged") }
            let shape = (0..<Int(bytes[2])).map {
                Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 3 + 4 * $0, as: UInt32.self)))
            }
            return (types[Int(bytes[0])], arrangement, shape, 3 + 4 * shape.count)
        }
        var tensor = try LosslessFloats.decompress(region[end..<region.count], pool: pool)
        if arrangement != .plain {
            guard tensor.type == .uint8 else { throw .data("its codes are no bytes") }
            tensor = StoredTensor(bytes: try arrangement.restored(tensor.region))
        }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw .data("its shape \(shape) is absurdly large") }
            count = product
        }
        guard arrangement == .plain ? tensor.type == type : type.byteCount == 1, tensor.count == count else {
            throw .data("it holds \(tensor.count) of \(tensor.type.rawValue), not \(shape) of \(type.rawValue)")
        }
        return StoredTensor(type: type, shape: shape, region: tensor.region)
    }
}

extension CodedTensor.Arrangement {
    /// As a byte.
    fileprivate var number: UInt8 {
        switch self {
        case .plain: 0
        case .codes(let bits): UInt8(bits)
        case .codebooks(let count): UInt8(16 + count)
        }
    }

    fileprivate init?(number: UInt8) {
        switch number {
        case 0: self = .plain
        case 3, 5, 6, 7: self = .codes(bits: Int(number))
        case 18...32: self = .codebooks(Int(number) - 16)
        default: return nil
        }
    }

    /// Bytes in the order in which they are coded.
    fileprivate func arranged(_ region: ByteRegion) -> [UInt8] {
        switch self {
        case .plain: Array(region.bytes)
        case .codes(let bits): CodePlanes(bits: bits).joined(region)
        case .codebooks(let count): Self.transposed(region, runs: region.count / (64 * count), of: count)
        }
    }

    /// Bytes in the order in which they were; throws if they cannot have been arranged so.
    fileprivate func restored(_ region: ByteRegion) throws(PithError) -> [UInt8] {
        switch self {
        case .plain: return Array(region.bytes)
        case .codes(let bits):
            let planes = CodePlanes(bits: bits)
            guard region.count % planes.joinedBytes == 0 else { throw .data("its codes are no whole tiles") }
            return planes.split(region)
        case .codebooks(let count):
            guard region.count % (64 * count) == 0 else { throw .data("its codes are not of \(count) codebooks") }
            return Self.transposed(region, runs: count, of: region.count / (64 * count))
        }
    }

    /// Runs of 64 bytes, [runs, count, 64], as [count, runs, 64].
    private static func transposed(_ region: ByteRegion, runs: Int, of count: Int) -> [UInt8] {
        region.withBytes { bytes in
            [UInt8](unsafeUninitializedCapacity: bytes.count) { target, written in
                written = bytes.count
                guard let source = bytes.baseAddress, let target = target.baseAddress else { return }
                for run in 0..<runs {
                    for i in 0..<count {
                        UnsafeMutableRawPointer(target + (i * runs + run) * 64).copyMemory(
                            from: source + (run * count + i) * 64, byteCount: 64)
                    }
                }
            }
        }
    }
}

/// Tiles of 512 codes in planes of 4, 2 and 1 bits, as `packPlanes` makes them, and the same as whole codes: of those of
/// 3 bits two in a byte. Which bits go together is seen only in whole codes.
private struct CodePlanes {
    let bits: Int
    /// Codes in a byte, each in its own `bits` bits.
    private var codesOfByte: Int { bits == 3 ? 2 : 1 }
    /// Bytes of a tile of whole codes.
    var joinedBytes: Int { 512 / codesOfByte }
    /// Bytes of a tile of planes.
    private var planeBytes: Int { 64 * bits }

    /// A plane's bits, the lowest of them in a code, and its first byte in a tile.
    private var planes: [(width: Int, shift: Int, start: Int)] {
        var (planes, shift) = ([(width: Int, shift: Int, start: Int)](), 0)
        for width in [4, 2, 1] where bits & width != 0 {
            planes.append((width, shift, 64 * shift))
            shift += width
        }
        return planes
    }

    /// For eight lanes side by side, calls `body` with the place of a vector's codes in a tile of whole codes and in its
    /// plane, each with their shift, for all planes.
    @inline(__always)
    private func forEachField(
        _ body: (_ joined: Int, _ joinedShift: UInt64, _ plane: Int, _ planeShift: UInt64, _ mask: UInt64) -> Void
    ) {
        let codesOfByte = codesOfByte
        for (width, shift, start) in planes {
            let (perByte, mask) = (8 / width, 0x0101_0101_0101_0101 * UInt64(1 << width - 1))
            for vector in 0..<8 {
                let joined = vector / codesOfByte * 64
                let joinedShift = UInt64(vector % codesOfByte * bits + shift)
                let (plane, planeShift) = (start + vector / perByte * 64, UInt64(vector % perByte * width))
                for lane in stride(from: 0, to: 64, by: 8) {
                    body(joined + lane, joinedShift, plane + lane, planeShift, mask)
                }
            }
        }
    }

    /// Whole codes of tiles of planes.
    func joined(_ region: ByteRegion) -> [UInt8] {
        converted(region, from: planeBytes, to: joinedBytes) { source, target in
            forEachField { joined, joinedShift, plane, planeShift, mask in
                Self.copy(mask, source + plane, planeShift, to: target + joined, joinedShift)
            }
        }
    }

    /// Planes of tiles of whole codes.
    func split(_ region: ByteRegion) -> [UInt8] {
        converted(region, from: joinedBytes, to: planeBytes) { source, target in
            forEachField { joined, joinedShift, plane, planeShift, mask in
                Self.copy(mask, source + joined, joinedShift, to: target + plane, planeShift)
            }
        }
    }

    /// Puts the bits of `mask` that stand at `shift` of a word into zeros at `newShift` of another.
    @inline(__always)
    private static func copy(
        _ mask: UInt64, _ source: UnsafeRawPointer, _ shift: UInt64, to target: UnsafeMutableRawPointer,
        _ newShift: UInt64
    ) {
        let field = source.load(as: UInt64.self) &>> shift & mask
        target.storeBytes(of: target.load(as: UInt64.self) | field &<< newShift, as: UInt64.self)
    }

    /// All tiles of a region, each made by `body` of a copy of its bytes and of zeros.
    @inline(__always)
    private func converted(
        _ region: ByteRegion, from size: Int, to newSize: Int,
        _ body: (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void
    ) -> [UInt8] {
        let tiles = region.count / size
        return [UInt8](unsafeUninitializedCapacity: tiles * newSize) { result, count in
            count = tiles * newSize
            withUnsafeTemporaryAllocation(byteCount: size + newSize, alignment: 64) { memory in
                let (source, target) = (memory.baseAddress!, memory.baseAddress! + size)
                for tile in 0..<tiles {
                    source.copyMemory(from: region.bytes.baseAddress! + tile * size, byteCount: size)
                    target.initializeMemory(as: UInt8.self, repeating: 0, count: newSize)
                    body(UnsafeRawPointer(source), target)
                    UnsafeMutableRawPointer(result.baseAddress! + tile * newSize).copyMemory(
                        from: target, byteCount: newSize)
                }
            }
            withExtendedLifetime(region) {}
        }
    }
}

extension StoredTensor {
    /// Bytes as a list.
    init(bytes: [UInt8]) { self.init(bytes: bytes, shape: [bytes.count]) }
}
