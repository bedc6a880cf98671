import CPithKernels
import PithCore
import PithTensor

/// How finely the inputs of products are kept.
public enum ActivationPrecision: String, CaseIterable, Sendable {
    /// As narrow as the weights they meet allow: bfloat16 beside BF16 weights, 8 bits by group beside integer codes.
    case narrow
    /// 32 bits beside all weights.
    case float
}

/// Input rows of linear operators, [rows, width], with the narrower forms of them that operators ask for.
///
/// Each form is made once for all operators that read the same rows, and its memory is used again for the next rows.
public final class ActivationBlock {
    /// How finely operators may keep the rows.
    public let precision: ActivationPrecision
    /// The rows as they came, [rows, width]; nil before the first `load`, and valid until the next.
    public private(set) var values: UnsafePointer<Float>!
    /// Rows loaded.
    public private(set) var rows = 0
    /// Elements of a row.
    public private(set) var width = 0

    private var narrowForms: [NarrowRows] = []
    private var tiledForms: [TiledRows] = []
    private var derivedForms: [Derived] = []

    /// An empty block.
    public init(precision: ActivationPrecision = .narrow) {
        self.precision = precision
    }

    /// Takes up other rows, which must stay where they are while they are multiplied.
    public func load(_ values: UnsafePointer<Float>, rows: Int, width: Int) {
        self.values = values
        self.rows = rows
        self.width = width
        for form in narrowForms { form.isFilled = false }
        for form in tiledForms { form.isFilled = false }
        for i in derivedForms.indices { derivedForms[i].isFilled = false }
    }

    /// Makes the rows ready as bytes with a scale for each `group` columns, a multiple of 32.
    public func prepareNarrow(group: Int, pool: ThreadPool) {
        if narrowForms.first(where: { $0.group == group }) == nil { narrowForms.append(NarrowRows(group: group)) }
        let form = narrow(group: group)
        if !form.isFilled { form.fill(values, rows: rows, width: width, pool: pool) }
    }

    /// The rows as bytes; `prepareNarrow` must have been called.
    public func narrow(group: Int) -> NarrowRows { narrowForms.first { $0.group == group }! }

    /// Makes the rows ready in tiles, as F32 or BF16.
    public func prepareTiled(_ type: pith_element, pool: ThreadPool) {
        if tiledForms.first(where: { $0.type == type }) == nil { tiledForms.append(TiledRows(type)) }
        let form = tiled(type)
        if !form.isFilled { form.fill(values, rows: rows, width: width, pool: pool) }
    }

    /// The rows in tiles; `prepareTiled` must have been called.
    public func tiled(_ type: pith_element) -> TiledRows { tiledForms.first { $0.type == type }! }

    /// A block for what `key` makes of these rows, [rows, width]: `fill` is called the first time after each `load`.
    @discardableResult
    public func prepareDerived(
        _ key: ObjectIdentifier, width: Int, fill: (_ into: UnsafeMutablePointer<Float>) -> Void
    ) -> ActivationBlock {
        let index =
            derivedForms.firstIndex { $0.key == key }
            ?? {
                derivedForms.append(Derived(key: key, block: ActivationBlock(precision: precision)))
                return derivedForms.count - 1
            }()
        let block = derivedForms[index].block
        guard !derivedForms[index].isFilled else { return block }
        let buffer = derivedForms[index].memory.reserve(rows * width * MemoryLayout<Float>.stride)
            .assumingMemoryBound(to: Float.self)
        fill(buffer)
        block.load(buffer, rows: rows, width: width)
        derivedForms[index].isFilled = true
        return block
    }

    /// The block that `prepareDerived` made for `key`.
    public func derived(_ key: ObjectIdentifier) -> ActivationBlock { derivedForms.first { $0.key == key }!.block }

    private struct Derived {
        let key: ObjectIdentifier
        let block: ActivationBlock
        let memory = ScratchMemory()
        var isFilled = false
    }
}

/// Memory that is used again and again, on a boundary of 64 bytes.
public final class ScratchMemory {
    private var memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    private var size = 64

    /// No memory yet.
    public init() {}
    deinit { memory.deallocate() }

    /// Room for `byteCount` bytes; what was in it before is lost.
    public func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if byteCount > size {
            memory.deallocate()
            memory = .allocate(byteCount: byteCount, alignment: 64)
            size = byteCount
        }
        return memory
    }
}

/// Rows rounded to bytes, with a scale for each group of columns: x ≈ byte · scale.
public final class NarrowRows {
    /// Columns that share a scale, a multiple of 32.
    public let group: Int
    /// The rows as the kernels take them; the pointers are into memory of this object.
    public private(set) var rows: pith_narrow_rows
    fileprivate var isFilled = false
    private let memory = ScratchMemory()

    fileprivate init(group: Int) {
        self.group = group
        rows = pith_narrow_rows(
            bytes: nil, scales: nil, sums: nil, half_sums: nil, rows: 0, columns: 0, group: Int64(group))
    }

    fileprivate func fill(_ values: UnsafePointer<Float>, rows count: Int, width: Int, pool: ThreadPool) {
        let columns = (width + 31) / 32 * 32
        let scaleCount = count * ((columns + group - 1) / group)
        // Single tiles get the sums of their halves too.
        let base = memory.reserve(count * columns + scaleCount * (group == 32 ? 16 : 8))
        let scales = base + count * columns
        let sums = (scales + scaleCount * 4).assumingMemoryBound(to: Int32.self)
        rows = pith_narrow_rows(
            bytes: base.assumingMemoryBound(to: Int8.self), scales: scales.assumingMemoryBound(to: Float.self),
            sums: sums, half_sums: group == 32 ? sums + scaleCount : nil, rows: Int64(count), columns: Int64(columns),
            group: Int64(group))
        let kernels = kernels
        let tileRows = Int(PITH_TILE_ROWS)
        let tiles = (count + tileRows - 1) / tileRows
        pool.forEachBlock(of: tiles, grain: 1, sharing: values, rows) { tiles, values, rows in
            withUnsafePointer(to: rows) { rows in
                for tile in tiles { kernels.narrow_rows(values, Int64(width), Int64(tile), rows) }
            }
        }
        isFilled = true
    }
}

/// Rows in tiles, as they are or rounded to BF16.
public final class TiledRows {
    /// F32 or BF16.
    public let type: pith_element
    /// The rows as the kernels take them; the pointer is into memory of this object.
    public private(set) var rows: pith_tiled_rows
    fileprivate var isFilled = false
    private let memory = ScratchMemory()

    fileprivate init(_ type: pith_element) {
        self.type = type
        rows = pith_tiled_rows(values: nil, type: type, rows: 0, columns: 0)
    }

    fileprivate func fill(_ values: UnsafePointer<Float>, rows count: Int, width: Int, pool: ThreadPool) {
        let columns = (width + 31) / 32 * 32
        let base = memory.reserve(count * columns * (type == PITH_F32 ? 4 : 2))
        rows = pith_tiled_rows(values: base, type: type, rows: Int64(count), columns: Int64(columns))
        let (kernels, tileRows) = (kernels, Int(PITH_DENSE_TILE_ROWS))
        let tiles = (count + tileRows - 1) / tileRows
        pool.forEachBlock(of: tiles, grain: 1, sharing: values, rows) { tiles, values, rows in
            withUnsafePointer(to: rows) { rows in
                for tile in tiles { kernels.tile_rows(values, Int64(width), Int64(tile), rows) }
            }
        }
        isFilled = true
    }
}
