import PithTensor

extension Tape {
    /// [count, columns]: row r is the sum of those rows of x whose place in `rows` says r; the reverse of `gather`.
    public func scatter(_ x: Variable, to rows: [Int], count: Int) -> Variable {
        precondition(rows.count == x.rows && rows.allSatisfy { (0..<count).contains($0) }, "the rows do not fit")
        let (y, columns) = (makeVariable(rows: count, columns: x.columns), x.columns)
        y.values.update(repeating: 0, count: y.count)
        for (place, row) in rows.enumerated() {
            kernels.add_scaled(x.values + place * columns, 1, Int64(columns), y.values + row * columns)
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            for (place, row) in rows.enumerated() {
                kernels.add_scaled(dy + row * columns, 1, Int64(columns), dx + place * columns)
            }
        }
        return y
    }
}
