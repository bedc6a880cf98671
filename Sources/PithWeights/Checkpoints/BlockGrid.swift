import PithCore
import PithFormats
import PithModels
import PithTensor

/// The levels of a type of GGUF's blocks.
public struct BlockGrid: GridForm {
    /// The type of the blocks.
    public let type: GGUFType
    private let form: GGUFBlockForm

    /// The levels of a type; nil if its blocks are not made here.
    public init?(_ type: GGUFType) {
        guard let form = type.form else { return nil }
        (self.type, self.form) = (type, form)
    }

    /// As GGUF calls the type.
    public var name: String { type.name }
    /// Bits of a code.
    public var bits: Int { form.bits }

    /// Chooses scales, factors and minima block by block, by the least error that importance counts.
    public func fit(_ weight: Tensor, importance: [Float]?, pool: ThreadPool) throws(PithError) -> FittedGrid {
        let (rows, columns) = (weight.rows, weight.columns)
        guard columns % type.blockLength == 0 else {
            throw .usage(
                "rows of \(columns) are not whole blocks of \(type.name), which have \(type.blockLength)",
                remedy: "a type with blocks of 32")
        }
        let importance = ScaleFit.shares(of: importance, columns: columns)
        let fitter = BlockFitter(type: type, form: form)
        let fits = pool.map(rows) { row in
            weight.values.withUnsafeBufferPointer { weights in
                importance.withUnsafeBufferPointer { importance in
                    fitter.fit(weights.baseAddress! + row * columns, importance.baseAddress!, columns)
                }
            }
        }
        guard fits.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            throw .data("the weights are too large for scales in half precision")
        }
        let sizes = fitter.groupSize
        let type = type
        return FittedGrid(
            groupSize: sizes, groups: columns / sizes, levels: fits.flatMap { $0.flatMap(\.levels) },
            table: fitter.table
        ) { (codes, mask) throws(PithError) in
            guard mask == nil else {
                throw .usage("\(type.name) has no room for a mask", remedy: "quantize without pruning")
            }
            let bytes = Self.join(codes, fits, type, rows: rows, columns: columns)
            let shape = [rows, columns / type.blockLength * type.blockBytes]
            return try BlockCodes(type, StoredTensor(bytes: bytes, shape: shape), columns: columns, pool: pool)
        }
    }

    private static func join(
        _ codes: [UInt8], _ fits: [[BlockFit]], _ type: GGUFType, rows: Int, columns: Int
    ) -> [UInt8] {
        let rowBytes = columns / type.blockLength * type.blockBytes
        return [UInt8](unsafeUninitializedCapacity: rows * rowBytes) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            GGUFBlockPieces.withPieces { pieces in
                for row in 0..<rows {
                    for (index, fit) in fits[row].enumerated() {
                        pieces.clear()
                        let start = row * columns + index * type.blockLength
                        for i in 0..<type.blockLength { pieces.codes[i] = codes[start + i] }
                        for (i, factor) in fit.factors.enumerated() { pieces.factors[i] = factor }
                        for (i, factor) in fit.minima.enumerated() { pieces.minima[i] = factor }
                        (pieces.halves[0], pieces.halves[1]) = (fit.scale, fit.minimum)
                        type.join(pieces, into: base + row * rowBytes + index * type.blockBytes)
                    }
                }
            }
            count = rows * rowBytes
        }
    }
}

/// What a block says beside its codes, and the levels that follow.
struct BlockFit: Sendable {
    /// Scale and minimum in half precision.
    var scale: UInt16 = 0
    var minimum: UInt16 = 0
    /// As `GGUFBlockPieces` has them.
    var factors: [UInt8] = []
    var minima: [UInt8] = []
    var levels: [GroupLevels] = []

    var isFinite: Bool { scale & 0x7C00 != 0x7C00 && minimum & 0x7C00 != 0x7C00 }
}

/// Fits the blocks of one type.
private struct BlockFitter {
    let type: GGUFType
    let form: GGUFBlockForm
    let table: LevelTable?
    /// Weights that share a scale and its factor.
    let groupSize: Int
    private let highest: Float

    init(type: GGUFType, form: GGUFBlockForm) {
        (self.type, self.form) = (type, form)
        table = form.codebook.map(LevelTable.init)
        highest = Float((1 << form.bits) - 1)
        groupSize =
            switch form.scaling {
            case .halfMinima, .halfFactors: 16
            case .scale, .minimum, .factorMinima, .factors, .exponent: 32
            }
    }

    /// The blocks of a row.
    func fit(_ weights: UnsafePointer<Float>, _ importance: UnsafePointer<Float>, _ columns: Int) -> [BlockFit] {
        stride(from: 0, to: columns, by: type.blockLength).map { start in
            let groups = stride(from: start, to: start + type.blockLength, by: groupSize).map {
                WeightGroup(weights: weights + $0, importance: importance + $0, count: groupSize)
            }
            switch form.scaling {
            case .scale: return plain(groups[0])
            case .minimum: return withMinimum(groups[0])
            case .exponent: return withExponent(groups[0])
            case .factorMinima: return withFactorsAndMinima(groups, limit: 63)
            case .halfMinima: return withFactorsAndMinima(groups, limit: 15)
            case .factors: return withFactors(groups, limit: 32)
            case .halfFactors: return withFactors(groups, limit: type == .q6K ? 128 : 32)
            }
        }
    }

    /// The whole numbers that codes stand for where there is no minimum. Q8_0 leaves −128 out, as its other writers do.
    private var range: ClosedRange<Float> {
        let zero = Float(form.zero)
        return (form.bits == 8 ? 1 - zero : -zero)...(highest - zero)
    }

    private func levels(_ scale: Float) -> GroupLevels {
        GroupLevels(scale: scale, zero: table == nil ? Float(form.zero) : 0, highest: highest)
    }

    private func ownScale(_ group: WeightGroup) -> Float { table.map { group.scale($0) } ?? group.scale(range) }

    private func plain(_ group: WeightGroup) -> BlockFit {
        let half = halfBits([ownScale(group)])[0]
        return BlockFit(scale: half, levels: [levels(floatOfHalf(half))])
    }

    private func withMinimum(_ group: WeightGroup) -> BlockFit {
        let fit = group.scaleAndMinimum(highest: highest, isMinimumPositive: false)
        let halves = halfBits([fit.scale, fit.minimum])
        return BlockFit(
            scale: halves[0], minimum: halves[1],
            levels: [
                GroupLevels(scale: floatOfHalf(halves[0]), minimum: floatOfHalf(halves[1]), highest: highest)
            ])
    }

    /// Powers of two: those around the best scale are tried.
    private func withExponent(_ group: WeightGroup) -> BlockFit {
        guard let table else { return BlockFit() }
        let best = abs(group.scale(table))
        let middle = best > 0 ? Int(best.exponent) : -128
        var chosen = (error: Float.infinity, exponent: 0)
        for exponent in max(-128, middle - 1)...min(126, max(-128, middle) + 1) {
            let scale = Float(sign: .plus, exponent: exponent, significand: 1)
            let error = (0..<group.count).reduce(Float(0)) { sum, i in
                let difference = group.weights[i] - scale * table.nearest(group.weights[i] / scale)
                return sum + group.importance[i] * difference * difference
            }
            if error < chosen.error { chosen = (error, exponent) }
        }
        let scale = Float(sign: .plus, exponent: chosen.exponent, significand: 1)
        return BlockFit(factors: [UInt8(chosen.exponent + 128)], levels: [levels(scale)])
    }

    /// Scales that are products of one for the block, in half precision, and a signed whole number for each group.
    private func withFactors(_ groups: [WeightGroup], limit: Int) -> BlockFit {
        let scales = groups.map(ownScale)
        let peak = scales.reduce(Float(0)) { abs($1) > abs($0) ? $1 : $0 }
        // The largest gets the factor of the largest magnitude, which is negative.
        let half = halfBits([-peak / Float(limit)])[0]
        let scale = floatOfHalf(half)
        guard scale != 0 else {
            return BlockFit(
                factors: [UInt8](repeating: 0, count: groups.count), levels: groups.map { _ in levels(0) })
        }
        var fit = BlockFit(scale: half)
        for (group, own) in zip(groups, scales) {
            let near = Int(nearest(min(1000, max(-1000, own / scale))))
            let candidates = (near - 1...near + 1).filter { (-limit...limit - 1).contains($0) }
            let best = candidates.map { factor in
                (error: error(group, levels(scale * Float(factor))), factor: factor)
            }.min { $0.error < $1.error }
            let factor = best?.factor ?? 0
            fit.factors.append(UInt8(bitPattern: Int8(factor)))
            fit.levels.append(levels(scale * Float(factor)))
        }
        return fit
    }

    private func error(_ group: WeightGroup, _ levels: GroupLevels) -> Float {
        guard let table else { return group.error(levels) }
        return (0..<group.count).reduce(0) { sum, i in
            let level = levels.scale * table.nearest(group.weights[i] * levels.inverse)
            let difference = group.weights[i] - level
            return sum + group.importance[i] * difference * difference
        }
    }

    /// The same for scales and minima, neither negative.
    private func withFactorsAndMinima(_ groups: [WeightGroup], limit: Int) -> BlockFit {
        let own = groups.map { $0.scaleAndMinimum(highest: highest, isMinimumPositive: true) }
        let most = Float(limit)
        let halves = halfBits([
            own.reduce(0) { max($0, $1.scale) } / most, own.reduce(0) { max($0, $1.minimum) } / most,
        ])
        let (scale, minimum) = (floatOfHalf(halves[0]), floatOfHalf(halves[1]))
        var fit = BlockFit(scale: halves[0], minimum: halves[1])
        func near(_ value: Float, _ unit: Float) -> [Int] {
            guard unit > 0 else { return [0] }
            let near = Int(nearest(min(most, value / unit)))
            return Array(max(0, near - 1)...min(limit, near + 1))
        }
        for (group, ideal) in zip(groups, own) {
            var best = (error: Float.infinity, factor: 0, minimum: 0, levels: GroupLevels(scale: 0, highest: highest))
            for factor in near(ideal.scale, scale) {
                for low in near(ideal.minimum, minimum) {
                    let levels = GroupLevels(
                        scale: scale * Float(factor), minimum: minimum * Float(low), highest: highest)
                    let error = group.error(levels)
                    if error < best.error { best = (error, factor, low, levels) }
                }
            }
            if form.scaling == .halfMinima {
                fit.factors.append(UInt8(best.factor | best.minimum << 4))
            } else {
                fit.factors.append(UInt8(best.factor))
                fit.minima.append(UInt8(best.minimum))
            }
            fit.levels.append(best.levels)
        }
        return fit
    }
}
