import PithTensor

extension Tape {
    /// The `count` largest elements of each row, largest first, and their columns; of equal ones the first. What was
    /// not chosen has no gradient.
    public func largest(_ count: Int, of x: Variable) -> (values: Variable, columns: [[Int]]) {
        precondition((1...max(1, x.columns)).contains(count), "a row has \(x.columns) elements, not \(count)")
        let y = makeVariable(rows: x.rows, columns: count)
        let chosen = (0..<x.rows).map { row -> [Int] in
            let values = UnsafeBufferPointer(start: x.values + row * x.columns, count: x.columns)
            let order = values.indices.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
            return Array(order.prefix(count))
        }
        for (row, columns) in chosen.enumerated() {
            for (place, column) in columns.enumerated() {
                y.values[row * count + place] = x.values[row * x.columns + column]
            }
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            for (row, columns) in chosen.enumerated() {
                for (place, column) in columns.enumerated() {
                    dx[row * x.columns + column] += dy[row * count + place]
                }
            }
        }
        return (y, chosen)
    }
}
