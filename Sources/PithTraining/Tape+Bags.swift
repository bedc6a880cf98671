import PithTensor

extension Tape {
    /// A row for each bag: the sum of the rows of a table that it names, each times its weight; [bags, columns]. Weights
    /// are all 1 where there are none, and 1 / n for the mean of n rows.
    public func bags(_ table: Variable, _ bags: [[Int]], weights: [[Float]]? = nil) -> Variable {
        let columns = table.columns
        precondition(bags.joined().allSatisfy { (0..<table.rows).contains($0) }, "a row is outside the table")
        precondition(
            weights.map { $0.count == bags.count && zip($0, bags).allSatisfy { $0.count == $1.count } } ?? true,
            "a weight for each row of each bag")
        let y = makeVariable(rows: bags.count, columns: columns)
        y.values.update(repeating: 0, count: y.count)
        func forEachRow(_ body: (_ bag: Int, _ row: Int, _ weight: Float) -> Void) {
            for (bag, rows) in bags.enumerated() {
                for (place, row) in rows.enumerated() { body(bag, row, weights?[bag][place] ?? 1) }
            }
        }
        forEachRow { bag, row, weight in
            kernels.add_scaled(table.values + row * columns, weight, Int64(columns), y.values + bag * columns)
        }
        record(y) { [unowned self] dy in
            guard !table.isFrozen else { return }
            let target = zeroedGradient(table)
            forEachRow { bag, row, weight in
                kernels.add_scaled(dy + bag * columns, weight, Int64(columns), target + row * columns)
            }
        }
        return y
    }
}
