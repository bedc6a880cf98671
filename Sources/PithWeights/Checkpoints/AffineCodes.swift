import PithCore
import PithFormats
import PithModels
import PithTensor

/// Codes that are whole numbers, with a scale for each group of columns of a row, taken out of whatever stores them:
/// weight = (code − zero) · scale − minimum. What the formats of other programs have in common.
package struct AffineCodes: Sendable {
    package let rows: Int
    package let columns: Int
    /// Bits of a code.
    package let bits: Int
    /// Columns of a group; the last of a row may be shorter.
    package let groupSize: Int
    /// One byte each, [rows, columns].
    package var codes: [UInt8]
    /// [rows, groups].
    package var scales: [Float]
    /// [rows, groups].
    package var zeros: [UInt8]
    /// [rows, groups]; nil where all are 0.
    package var minima: [Float]?
    /// Which column stands at each place; nil where they stand in order.
    package var order: [Int]?

    package init(
        rows: Int, columns: Int, bits: Int, groupSize: Int, codes: [UInt8], scales: [Float], zeros: [UInt8],
        minima: [Float]? = nil, order: [Int]? = nil
    ) {
        (self.rows, self.columns, self.bits, self.groupSize) = (rows, columns, bits, groupSize)
        (self.codes, self.scales, self.zeros, self.minima, self.order) = (codes, scales, zeros, minima, order)
    }

    /// Groups of a row.
    package var groups: Int { Self.groups(columns, groupSize) }

    /// Groups of a row of so many columns.
    package static func groups(_ columns: Int, _ groupSize: Int) -> Int {
        (columns + groupSize - 1) / max(1, groupSize)
    }

    /// Whether codes lie evenly around the middle one, which stands for 0.
    package var isSymmetric: Bool { minima == nil && zeros.allSatisfy { $0 == 1 << (bits - 1) } }

    /// The smallest and the largest whole number that a code less its zero is.
    package var range: ClosedRange<Int> {
        var (low, high) = (0, 0)
        for row in 0..<rows {
            for column in 0..<columns {
                let value =
                    Int(codes[row * columns + column]) - Int(zeros[row * groups + column / groupSize])
                (low, high) = (min(low, value), max(high, value))
            }
        }
        return low...high
    }

    /// As one of Pith's layouts, with scales in half precision.
    package func stored() throws(PithError) -> any StoredLinear {
        guard minima == nil else { throw .data("has minima, which are stored in blocks of their own only") }
        let matrix = try GroupedCodes(
            codes: codes, scales: try storedScales(scales), zeros: isSymmetric ? nil : zeros, rows: rows,
            columns: columns, bits: bits, groupSize: groupSize)
        guard let order else { return matrix }
        return try ReorderedColumns(matrix, order: order)
    }
}

extension AffineCodes {
    /// Takes the codes out of a matrix; nil where it is stored otherwise.
    package init?(_ matrix: any LinearOperator) {
        switch matrix {
        case let matrix as GroupedCodes: self.init(grouped: matrix)
        case let matrix as BlockCodes: self.init(blocks: matrix)
        case let matrix as WordCodes: self.init(words: matrix)
        case let matrix as ReorderedColumns:
            self.init(matrix.matrix)
            guard order == nil else { return nil }
            order = matrix.order
        default: return nil
        }
    }

    /// Dividing a decoded weight by its scale gives the code back exactly.
    private init(grouped matrix: GroupedCodes) {
        let (rows, columns) = (matrix.outputCount, matrix.inputCount)
        let (scales, zeros) = matrix.grid.values
        self.init(
            rows: rows, columns: columns, bits: matrix.bits, groupSize: min(matrix.groupSize, max(1, columns)),
            codes: [UInt8](repeating: 0, count: rows * columns), scales: scales, zeros: zeros)
        let weight = matrix.decodedWeight()
        for row in 0..<rows {
            for column in 0..<columns {
                let group = row * groups + column / groupSize
                let number = scales[group] > 0 ? weight[row, column] / scales[group] : 0
                codes[row * columns + column] = UInt8(saturating: number.rounded() + Float(zeros[group]))
            }
        }
    }

    private init?(words matrix: WordCodes) {
        guard let (codes, scales, biases) = try? matrix.unpacked() else { return nil }
        self.init(
            rows: matrix.outputCount, columns: matrix.inputCount, bits: matrix.bits, groupSize: matrix.groupSize,
            codes: codes, scales: scales, zeros: [UInt8](repeating: 0, count: scales.count),
            minima: biases.map { -$0 })
    }

    private init?(blocks matrix: BlockCodes) {
        guard let form = matrix.type.form, form.codebook == nil else { return nil }
        let hasMinima: Bool
        switch form.scaling {
        case .scale: hasMinima = false
        case .minimum: hasMinima = true
        case .factorMinima, .halfMinima, .factors, .halfFactors, .exponent: return nil
        }
        let (rows, columns, length) = (matrix.outputCount, matrix.inputCount, matrix.type.blockLength)
        self.init(
            rows: rows, columns: columns, bits: form.bits, groupSize: length,
            codes: [UInt8](repeating: 0, count: rows * columns),
            scales: [Float](repeating: 0, count: rows * columns / length),
            zeros: [UInt8](repeating: UInt8(form.zero), count: rows * columns / length),
            minima: hasMinima ? [Float](repeating: 0, count: rows * columns / length) : nil)
        matrix.blocks.region.withBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            GGUFBlockPieces.withPieces { pieces in
                for block in 0..<scales.count {
                    form.split(base + block * matrix.type.blockBytes, pieces)
                    for i in 0..<length { codes[block * length + i] = pieces.codes[i] }
                    scales[block] = floatOfHalf(pieces.halves[0])
                    minima?[block] = floatOfHalf(pieces.halves[1])
                }
            }
        }
        if minima == nil { turnNegative() }
    }

    /// Makes all scales positive: other programs have none below zero. The codes run the other way instead.
    private mutating func turnNegative() {
        let highest = UInt8((1 << bits) - 1)
        for (group, scale) in scales.enumerated() where scale.sign == .minus {
            // (code − zero) becomes (zero' − code').
            for i in group * groupSize..<(group + 1) * groupSize { codes[i] = highest - codes[i] }
            zeros[group] = highest - zeros[group]
            scales[group] = -scale
        }
    }
}

extension CodeGrid {
    /// Scales and zeros, [rows, groups].
    var values: (scales: [Float], zeros: [UInt8]) {
        let halves = scales.bitPatterns
        let floats = (0..<halves.count).map { floatOfHalf(halves[$0]) }
        let (rows, groups) = (packing.rows, packing.groups)
        func place(_ index: Int) -> Int {
            let (row, group) = (index / groups, index % groups)
            return (row / 16 * groups + group) * 16 + row % 16
        }
        let middle = UInt8(1 << (bits - 1))
        return (
            (0..<rows * groups).map { floats[place($0)] },
            (0..<rows * groups).map { index in zeros.map { $0.byteValues[place(index)] } ?? middle }
        )
    }
}
