import PithCoding
import PithCore

/// Cells that are numbers written in one way: a sign, and digits with a fixed number of them behind the point.
package struct NumberForm: Equatable {
    /// Digits behind the point; 0 is no point.
    package var decimals: Int
    /// Digits of every number, zeros in front included; 0 is as few as possible.
    package var digits: Int

    /// The form in which all of `cells` that are not empty are written; nil if there is none.
    package init?(_ cells: [[UInt8]]) {
        guard let sample = cells.first(where: { !$0.isEmpty }) else { return nil }
        let point = sample.firstIndex(of: 46)
        decimals = point.map { sample.count - 1 - $0 } ?? 0
        guard decimals < 10, point == nil || decimals > 0 else { return nil }
        digits = 0
        if cells.allSatisfy({ $0.isEmpty || value($0) != nil }) { return }
        digits = sample.count - (point == nil ? 0 : 1)
        guard digits < 18, cells.allSatisfy({ $0.isEmpty || value($0) != nil }) else { return nil }
    }

    package init(decimals: Int, digits: Int) { (self.decimals, self.digits) = (decimals, digits) }

    /// The number that a cell is, without its point; nil if it is not written as `text` would write it.
    package func value(_ cell: [UInt8]) -> Int? {
        guard !cell.isEmpty, cell.count < 19 else { return nil }
        var result = 0
        for byte in cell where byte != 46 && byte != 45 {
            guard byte &- 48 < 10 else { return nil }
            result = result * 10 + Int(byte - 48)
        }
        if cell[0] == 45 { result = -result }
        return text(result) == cell ? result : nil
    }

    /// A number as it is written.
    package func text(_ value: Int) -> [UInt8] {
        var (reversed, rest) = ([UInt8](), value.magnitude)
        while rest > 0 || reversed.count <= decimals || reversed.count < digits {
            reversed.append(48 + UInt8(rest % 10))
            rest /= 10
        }
        if decimals > 0 { reversed.insert(46, at: decimals) }
        if value < 0 { reversed.append(45) }
        return reversed.reversed()
    }
}

/// A column of numbers; empty cells have none.
struct NumberColumn {
    var form: NumberForm
    /// Whether each number is coded as its difference to the one before.
    var differences: Bool

    /// Codes the cells; a reader passes nil.
    func code<Port: BitPort>(_ cells: [[UInt8]]?, count: Int, _ port: inout Port) throws(PithError) -> [[UInt8]] {
        var (result, model) = ([[UInt8]](), NumberModel(contexts: 8))
        var (emptiness, last, lastLength) = ([AdaptiveBit(), AdaptiveBit()], 0, 0)
        var wasEmpty = false
        for row in 0..<count {
            wasEmpty = try port.code(cells?[row].isEmpty ?? false, &emptiness[wasEmpty ? 1 : 0])
            if wasEmpty {
                result.append([])
                continue
            }
            let base = differences ? last : 0
            let step = cells.map { (form.value($0[row]) ?? 0) - base } ?? 0
            // Signs alternate: 0, −1, 1, −2, …
            let folded = try model.code(step << 1 ^ step >> 63, context: lastLength, &port)
            let value = base &+ (folded >> 1 ^ -(folded & 1))
            lastLength = min(7, (Int.bitWidth - folded.leadingZeroBitCount + 2) / 4)
            guard value.magnitude < 1_000_000_000_000_000_000 else { throw .invalidStream("the number \(value)") }
            result.append(form.text(value))
            last = value
        }
        return result
    }
}
