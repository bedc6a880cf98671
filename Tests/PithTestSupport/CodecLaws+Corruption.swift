import PithCore
import PithModels
import PithTensor
import PithWeights

/// What came of some broken stored matrices.
public struct CorruptionReport: Sendable {
    /// Stored matrices that were broken in some way and read.
    public var tried = 0
    /// Those refused with a `PithError`; the others could be multiplied.
    public var refused = 0
}

extension CodecLaws {
    /// Breaks what each spec stores in `count` random ways and reads it: it must be refused or be safe to multiply, and
    /// what lacks a part, or has parts of another size than the shape asks for, must be refused.
    ///
    /// A crash is a violation too; the report says how many were tried.
    public mutating func checkCorruption(of specs: [String], mutations count: Int) -> CorruptionReport {
        var (result, random) = (CorruptionReport(), SeededGenerator(seed: 77))
        for spec in specs {
            guard let pipeline = pipeline(spec) else { continue }
            attempt(spec) { (laws) throws(PithError) in
                let compressed = try laws.compress(pipeline)
                for _ in 0..<count {
                    result.tried += 1
                    if laws.isRefused(breaking: compressed, &random) { result.refused += 1 }
                }
                laws.checkMissingParts(compressed, spec)
            }
        }
        return result
    }

    /// One spec for each arrangement of layouts that the codec's results have.
    public mutating func specsOfEachArrangement() -> [String] {
        var (seen, result) = (Set<String>(), [String]())
        for spec in specs {
            guard let pipeline = pipeline(spec) else { continue }
            attempt(spec) { (laws) throws(PithError) in
                let compressed = try laws.compress(pipeline)
                if seen.insert(compressed.arrangement).inserted { result.append(spec) }
            }
        }
        return result
    }

    /// Without any one of its parts, or with one cut short by an element, nothing can be right.
    private mutating func checkMissingParts(_ compressed: any StoredLinear, _ spec: String) {
        let whole = BrokenMatrix(
            layout: type(of: compressed).layout, parts: compressed.stored,
            shape: [compressed.outputCount, compressed.inputCount])
        for (name, tensor) in whole.parts.tensors {
            var broken = whole
            // Zero points may be missing: then codes are symmetric.
            broken.parts.tensors[name] = nil
            expect(
                name.hasSuffix("zeros") || (try? broken.open(layouts)) == nil, spec, "opens without the part '\(name)'")
            guard tensor.byteCount > 0 else { continue }
            let cut = Array(tensor.region.bytes.dropLast(tensor.type.byteCount))
            broken.parts.tensors[name] = StoredTensor(
                type: tensor.type, shape: [cut.count / tensor.type.byteCount], region: ByteRegion(copying: cut))
            expect((try? broken.open(layouts)) == nil, spec, "opens with the part '\(name)' cut short")
        }
        for name in whole.parts.components.keys {
            var broken = whole
            broken.parts.components[name] = nil
            expect((try? broken.open(layouts)) == nil, spec, "opens without the component '\(name)'")
        }
    }

    private func isRefused(breaking compressed: any StoredLinear, _ random: inout SeededGenerator) -> Bool {
        let broken = compressed.broken(&random, layouts)
        guard let linear = try? broken.open(layouts) else { return true }
        guard linear.inputCount * linear.outputCount < 1 << 20 else { return false }
        for rows in [1, 3] {
            _ = Tensor(rows: rows, columns: linear.inputCount).multiplied(by: linear)
        }
        return false
    }
}

/// A stored matrix that may not be one.
private struct BrokenMatrix {
    var layout: String
    var parts: StoredParts
    var shape: [Int]

    func open(_ layouts: LayoutCatalogue) throws(PithError) -> any StoredLinear {
        try layouts.open(layout, parts, shape: shape)
    }
}

extension StoredLinear {
    /// The layouts of it and its components with their part names.
    fileprivate var arrangement: String {
        let parts = stored
        let names = parts.tensors.map { "\($0.key) \($0.value.type)" }.sorted()
        let inner = parts.components.sorted { $0.key < $1.key }.map { $0.value.arrangement }
        return "\(Self.layout)(\((names + inner).joined(separator: ", ")))"
    }

    /// The same parts with something wrong in one of them.
    fileprivate func broken(_ random: inout SeededGenerator, _ layouts: LayoutCatalogue) -> BrokenMatrix {
        var matrix = BrokenMatrix(layout: Self.layout, parts: stored, shape: [outputCount, inputCount])
        let components = matrix.parts.components.sorted { $0.key < $1.key }
        if !components.isEmpty, random.next() % 2 == 0 {
            // Break a component; if it refuses that itself, leave it out.
            let (name, component) = components[random.index(below: components.count)]
            matrix.parts.components[name] = try? component.broken(&random, layouts).open(layouts)
            return matrix
        }
        switch random.next() % 8 {
        case 0: matrix.shape = [random.extent(outputCount), random.extent(inputCount)]
        case 1: matrix.layout = layouts.names[random.index(below: layouts.names.count)]
        case 2, 3:
            let names = matrix.parts.parameters.keys.sorted()
            guard !names.isEmpty else { fallthrough }
            let name = names[random.index(below: names.count)]
            matrix.parts.parameters[name] = random.extent(matrix.parts.parameters[name] ?? 0)
        default:
            let names = matrix.parts.tensors.keys.sorted()
            guard !names.isEmpty else { return matrix }
            let name = names[random.index(below: names.count)]
            matrix.parts.tensors[name] = matrix.parts.tensors[name]?.broken(&random)
        }
        return matrix
    }
}

extension StoredTensor {
    /// Another length, another type, another arrangement, other bytes, or nothing at all.
    fileprivate func broken(_ random: inout SeededGenerator) -> StoredTensor? {
        var bytes = Array(region.bytes)
        switch random.next() % 8 {
        case 0: return nil
        case 1:
            // Cut short.
            let elements = random.index(below: count + 1)
            let cut = Array(bytes.prefix(elements * type.byteCount))
            return StoredTensor(type: type, shape: [elements], region: ByteRegion(copying: cut))
        case 2: return StoredTensor(type: .uint8, shape: [byteCount], region: region)
        case 3: return StoredTensor(type: type, shape: shape.reversed(), region: region)
        case 4:
            let types = ElementType.allCases.filter { $0.byteCount == type.byteCount }
            return StoredTensor(type: types[random.index(below: types.count)], shape: shape, region: region)
        default:
            guard !bytes.isEmpty else { return nil }
            for _ in 0...random.index(below: 8) {
                bytes[random.index(below: bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            return StoredTensor(type: type, shape: shape, region: ByteRegion(copying: bytes))
        }
    }
}

extension SeededGenerator {
    /// A number near `value`, or one that no extent should have.
    fileprivate mutating func extent(_ value: Int) -> Int {
        let candidates = [
            value, value + 1, value - 1, value * 2, value / 2, 0, 1, -1, 16, 255, 1 << 31, Int.max, Int.min, 1 << 62,
        ]
        return candidates[index(below: candidates.count)]
    }
}
