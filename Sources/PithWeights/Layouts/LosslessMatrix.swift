import CPithKernels
import PithCoding
import PithCore
import PithModels
import PithTensor

/// A matrix of floats without any loss: planes of bytes, coded in blocks of 16 rows, decoded as they are multiplied.
///
/// Parts: `tables` U8, the coding of each plane; `sizes` U32 [blocks, planes that have no fixed size]; `blocks` U8, the
/// blocks one after the other, each plane by plane, the exponents first. Parameters: `type`, 0 for F32, 1 for F16, 2 for
/// BF16; `floatInputs`, 1 where BF16 stands for weights of another type, which met floats.
package struct LosslessMatrix: StoredLinear, RowDecodable {
    package static let layout = "lossless"

    package let outputCount: Int
    package let inputCount: Int
    private let type: ElementType
    private let meetsFloats: Bool
    private let codings: [PlaneCoding]
    private let tables: StoredTensor
    private let sizes: StoredTensor
    private let blocks: StoredTensor
    // Where each plane of each block begins, [blocks, planes], and the end of the last one.
    private let starts: [Int]
    // A matrix of the same type without rows: it knows how inputs are made ready.
    private let likeness: DenseOperator

    private static let types: [ElementType] = [.float32, .float16, .bfloat16]
    private static let rowsOfBlock = 16
    /// Decoded rows are multiplied while they are in a core's own cache.
    private static let panelBytes = 1 << 17

    package var stored: StoredParts {
        StoredParts(
            tensors: ["tables": tables, "sizes": sizes, "blocks": blocks],
            parameters: Self.parameters(type, meetsFloats))
    }

    private static func parameters(_ type: ElementType, _ meetsFloats: Bool) -> [String: Int] {
        let parameters = ["type": types.firstIndex(of: type) ?? 0]
        return meetsFloats ? parameters.merging([DenseOperator.floatInputs: 1]) { $1 } : parameters
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        type = Self.types[try parts.parameter("type", in: 0...2)]
        meetsFloats = try parts.flag(DenseOperator.floatInputs)
        guard let tables = parts.tensors["tables"], let blocks = parts.tensors["blocks"] else {
            throw .data("part 'tables' or 'blocks' is missing")
        }
        self.tables = try parts.tensor("tables", .uint8, [tables.byteCount])
        self.blocks = try parts.tensor("blocks", .uint8, [blocks.byteCount])
        codings = try Self.codings(tables, planes: type.byteCount)
        let (number, stored) = (Self.blockCount(outputCount), codings.count { $0.fixedSize(1) == nil })
        sizes = try parts.tensor("sizes", .uint32, [number, stored]).aligned
        starts = try Self.starts(codings, sizes, rows: outputCount, columns: inputCount)
        guard starts.last == blocks.byteCount else {
            throw .data("part 'blocks' has \(blocks.byteCount) bytes", remedy: "part 'sizes' says \(starts.last ?? 0)")
        }
        likeness = try DenseOperator(
            StoredTensor(type: type, shape: [0, inputCount], region: ByteRegion(copying: [UInt8]())),
            meetingFloats: meetsFloats)
    }

    private static func codings(_ tables: StoredTensor, planes: Int) throws(PithError) -> [PlaneCoding] {
        var (codings, offset) = ([PlaneCoding](), 0)
        for _ in 0..<planes {
            codings.append(try PlaneCoding(serialized: tables.region.bytes, at: &offset))
        }
        guard offset == tables.byteCount else { throw .data("part 'tables' is longer than its tables") }
        return codings
    }

    private static func blockCount(_ rows: Int) -> Int { (rows + rowsOfBlock - 1) / rowsOfBlock }

    private static func starts(
        _ codings: [PlaneCoding], _ sizes: StoredTensor, rows: Int, columns: Int
    ) throws(PithError) -> [Int] {
        let values = sizes.region.bytes.assumingMemoryBound(to: UInt32.self)
        var (starts, next, end) = ([Int](), 0, 0)
        starts.reserveCapacity(blockCount(rows) * codings.count + 1)
        for block in 0..<blockCount(rows) {
            let count = min(rowsOfBlock, rows - block * rowsOfBlock) * columns
            for coding in codings {
                starts.append(end)
                if let size = coding.fixedSize(count) {
                    end += size
                } else {
                    end += Int(values[next])
                    next += 1
                }
            }
        }
        return starts + [end]
    }

    // MARK: Storing

    /// Codes a matrix, in the narrowest of BF16, F16 and F32 that holds all of its values. Inputs are kept as they were
    /// for `original`, the type that it had before; nil if that does not matter.
    package init(
        _ weight: Tensor, original: ElementType? = nil, coverage: LosslessFloats.Coverage, pool: ThreadPool
    ) throws(PithError) {
        let (rows, columns) = (weight.rows, weight.columns)
        let elements = StoredTensor(weight, as: .narrowestExact(for: weight.values))
        let meetsFloats = elements.type.mustMeetFloats(standingFor: original)
        let planes = BytePlanes(elements.type)
        // [planes, rows, columns]
        let split = [UInt8](unsafeUninitializedCapacity: elements.byteCount) { buffer, count in
            count = elements.byteCount
            guard let base = buffer.baseAddress, let bytes = elements.region.bytes.baseAddress else { return }
            let places = (0..<planes.count).map { base + $0 * weight.count }
            planes.split(bytes, nil, count: weight.count, into: places)
        }
        let (codings, coded) = split.withUnsafeBufferPointer { split in
            let codings = (0..<planes.count).map {
                PlaneCoding(
                    plane: $0, UnsafeBufferPointer(rebasing: split[$0 * weight.count..<($0 + 1) * weight.count]),
                    coverage)
            }
            return (codings, Self.encode(split, codings, rows: rows, columns: columns, pool: pool))
        }
        let stored = codings.count { $0.fixedSize(1) == nil }
        try self.init(
            StoredParts(
                tensors: [
                    "tables": StoredTensor(bytes: codings.flatMap(\.serialized)),
                    "sizes": StoredTensor(
                        coded.flatMap(\.sizes), as: .uint32, shape: [Self.blockCount(rows), stored]),
                    "blocks": StoredTensor(bytes: coded.flatMap(\.bytes)),
                ], parameters: Self.parameters(elements.type, meetsFloats)),
            shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    /// The blocks of a matrix whose planes are `split`, [planes, rows, columns], with the sizes that are stored.
    private static func encode(
        _ split: UnsafeBufferPointer<UInt8>, _ codings: [PlaneCoding], rows: Int, columns: Int, pool: ThreadPool
    ) -> [(bytes: [UInt8], sizes: [UInt32])] {
        pool.map(blockCount(rows), sharing: split) { block, split in
            let first = block * rowsOfBlock * columns
            let count = min(rowsOfBlock * columns, rows * columns - first)
            var result: (bytes: [UInt8], sizes: [UInt32]) = ([], [])
            for (plane, coding) in codings.enumerated() {
                let start = plane * rows * columns + first
                let bytes = coding.encode(UnsafeBufferPointer(rebasing: split[start..<start + count]))
                result.bytes += bytes
                if coding.fixedSize(1) == nil { result.sizes.append(UInt32(bytes.count)) }
            }
            return result
        }
    }

    // MARK: Multiplying

    /// Writes the rows of a block, as they were before they were coded, to `target`.
    private func decode(block: Int, into target: UnsafeMutableRawPointer) throws(PithError) {
        let count = elementCount(of: block)
        let decoded = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, count * codings.count)) {
            scratch in
            Result { () throws(PithError) in
                var places: [UnsafePointer<UInt8>] = []
                for (plane, coding) in codings.enumerated() {
                    let place = block * codings.count + plane
                    let bytes = UnsafeRawBufferPointer(rebasing: blocks.region.bytes[starts[place]..<starts[place + 1]])
                    places.append(
                        try coding.decode(bytes, count: count, scratch: scratch.baseAddress! + plane * count))
                }
                BytePlanes(type).merge(places, nil, count: count, into: target)
            }
        }
        do { try decoded.get() } catch { throw error.within("part 'blocks', block \(block)") }
    }

    /// The same where nothing can be thrown: what a damaged block holds is no number, nor what is computed from it.
    private func decodeOrMark(block: Int, into target: UnsafeMutableRawPointer) {
        do { try decode(block: block, into: target) } catch {
            // All bits set are a NaN in every type.
            target.initializeMemory(as: UInt8.self, repeating: 0xFF, count: elementCount(of: block) * type.byteCount)
        }
    }

    private func elementCount(of block: Int) -> Int {
        min(Self.rowsOfBlock, outputCount - block * Self.rowsOfBlock) * inputCount
    }

    /// Decodes all blocks: a stream that is damaged ends in the wrong place or state, more often than not.
    package func verify(pool: ThreadPool) throws(PithError) {
        _ = try pool.map(Self.blockCount(outputCount), grain: 16) { (block) throws(PithError) in
            try withUnsafeTemporaryAllocation(
                byteCount: max(1, Self.rowsOfBlock * inputCount * type.byteCount), alignment: 64
            ) { (rows) throws(PithError) in try decode(block: block, into: rows.baseAddress!) }
        }
    }

    /// A block's streams are short: the caches must be told which lines come next.
    private func prefetch(block: Int) {
        let (first, planes) = (block * codings.count, codings.count)
        guard first + planes < starts.count, let base = blocks.region.bytes.baseAddress else { return }
        pith_prefetch(base + starts[first], Int64(starts[first + planes] - starts[first]))
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { likeness.prepare(input, pool: pool) }

    /// Some blocks at a time are decoded and multiplied as the dense matrix that they were.
    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        guard inputCount > 0 else {
            for row in 0..<input.rows { (output + row * stride).update(repeating: 0, count: outputs.count) }
            return
        }
        let rowBytes = inputCount * type.byteCount
        let step = max(1, Self.panelBytes / (Self.rowsOfBlock * rowBytes)) * Self.rowsOfBlock
        let room = min(step, Self.blockCount(outputs.count) * Self.rowsOfBlock) * rowBytes
        prefetch(block: outputs.lowerBound / Self.rowsOfBlock)
        withUnsafeTemporaryAllocation(byteCount: room, alignment: 64) { panel in
            for first in Swift.stride(from: outputs.lowerBound, to: outputs.upperBound, by: step) {
                let rows = min(step, outputs.upperBound - first)
                for row in Swift.stride(from: 0, to: rows, by: Self.rowsOfBlock) {
                    let block = (first + row) / Self.rowsOfBlock
                    prefetch(block: block + 1)
                    decodeOrMark(block: block, into: panel.baseAddress! + row * rowBytes)
                }
                let bytes = UnsafeRawBufferPointer(start: panel.baseAddress!, count: rows * rowBytes)
                let decoded = StoredTensor(
                    type: type, shape: [rows, inputCount], region: ByteRegion(bytes, keptAliveBy: nil))
                guard let dense = try? DenseOperator(decoded, meetingFloats: meetsFloats) else {
                    preconditionFailure("no dense \(type)")
                }
                dense.multiply(0..<rows, input, into: output + first - outputs.lowerBound, stride: stride)
            }
        }
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard inputCount > 0, let type = type.dense else { return }
        let rowBytes = inputCount * self.type.byteCount
        withUnsafeTemporaryAllocation(byteCount: Self.rowsOfBlock * rowBytes, alignment: 64) { rows in
            decodeOrMark(block: row / Self.rowsOfBlock, into: rows.baseAddress!)
            kernels.widen(rows.baseAddress! + row % Self.rowsOfBlock * rowBytes, type, Int64(inputCount), target)
        }
    }
}

extension ElementType {
    /// Whether inputs must stay floats beside this type, which stands for the same values of another.
    func mustMeetFloats(standingFor original: ElementType?) -> Bool {
        self == .bfloat16 && (original == .float32 || original == .float16)
    }

    /// The narrowest of BF16, F16 and F32 that holds `values` exactly.
    static func narrowestExact(for values: [Float]) -> ElementType {
        if values.allSatisfy({ $0.bitPattern & 0xFFFF == 0 }) { return .bfloat16 }
        return zip(values, roundedToHalf(values)).allSatisfy { $0.bitPattern == $1.bitPattern } ? .float16 : .float32
    }
}
