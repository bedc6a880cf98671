import PithCore
import PithFormats
import PithTensor

extension GGUFFile {
    /// A matrix as an operator, [outputs, inputs], in its own bits; also the embedding, whose rows are decoded one by one.
    ///
    /// Quantised blocks are laid out anew with all threads, and the memory of the file that they came from is given
    /// back. Floats (F32, F16, BF16) are multiplied as they are mapped, unless `order` has them copied.
    public func linear(
        _ name: String, order: RowOrder = .stored, pool: ThreadPool
    ) throws(PithError) -> any RowDecodable {
        let (tensor, type) = try tensor(name)
        do throws(PithError) {
            guard tensor.shape.count == 2 else {
                throw .data("a matrix was expected, the shape is \(tensor.shape)")
            }
            let (rows, columns, region) = (tensor.shape[0], tensor.shape[1], region(of: tensor))
            if let element = type.element {
                guard order.fits(rows) else { throw .data("\(rows) rows are not whole heads") }
                return try DenseOperator(
                    StoredTensor(type: element, shape: tensor.shape, region: order.ordered(region, rows: rows)))
            }
            defer { region.releaseMemory() }
            return try BlockMatrix(type, region, rows: rows, columns: columns, order: order, pool: pool)
        } catch { throw error.within("\(path): tensor \(name)") }
    }

    /// The matrix or table that a parameter is. Throws unless it has the parameter's shape.
    func matrix(_ spec: ParameterSpec, pool: ThreadPool) throws(PithError) -> any RowDecodable {
        let name = try name(of: spec)
        let (tensor, _) = try tensor(name)
        guard tensor.shape == spec.shape else {
            throw .data(
                "has the shape \(tensor.shape)", at: "\(path): tensor \(name)", remedy: "the keys say \(spec.shape)")
        }
        return try linear(name, order: spec.ggufOrder, pool: pool)
    }

    /// The vector that a parameter is.
    func vector(_ spec: ParameterSpec) throws(PithError) -> [Float] {
        let values = try vector(try name(of: spec), count: spec.count)
        guard spec.ggufOrder.fits(values.count) else { throw .data("\(values.count) elements are not whole heads") }
        return values.indices.map { values[spec.ggufOrder.source(of: $0)] }
    }

    private func name(of spec: ParameterSpec) throws(PithError) -> String {
        guard let name = spec.ggufName else {
            throw .data("has no place for the weight \(spec.name)", at: path)
        }
        return name
    }

    /// A vector as floats: a norm's weight or a bias. Throws unless it has `count` elements.
    public func vector(_ name: String, count: Int) throws(PithError) -> [Float] {
        let tensor = try values(name)
        guard tensor.shape == [count] else {
            throw .data(
                "has the shape \(tensor.shape)", at: "\(path): tensor \(name)", remedy: "\([count]) is expected")
        }
        return tensor.values
    }
}
