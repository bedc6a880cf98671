import PithCore
import PithFormats
import PithTensor

extension GGUFFile {
    /// A matrix as an operator, [outputs, inputs], in its own bits; also the embedding, whose rows are decoded one by one.
    ///
    /// Quantised blocks are laid out anew with all threads, and the memory of the file that they came from is given
    /// back. Floats (F32, F16, BF16) are multiplied as they are mapped, unless `order` has them copied.
    ///
    /// `slice` is the place of the matrix among several that one tensor holds, [matrices, outputs, inputs]; `isRow` says
    /// that it has one row, which may be stored as a vector.
    public func linear(
        _ name: String, order: RowOrder = .stored, slice: Int? = nil, isRow: Bool = false, pool: ThreadPool
    ) throws(PithError) -> any RowDecodable {
        let (tensor, type) = try tensor(name)
        do throws(PithError) {
            let (shape, region) = try matrix(of: tensor, slice: slice, isRow: isRow)
            let (rows, columns) = (shape[0], shape[1])
            if let element = type.element {
                guard order.fits(rows) else { throw .data("\(rows) rows are not whole heads") }
                return try DenseOperator(
                    StoredTensor(type: element, shape: shape, region: order.ordered(region, rows: rows)))
            }
            defer { region.releaseMemory() }
            return try BlockMatrix(type, region, rows: rows, columns: columns, order: order, pool: pool)
        } catch { throw error.within("\(path): tensor \(name)") }
    }

    /// The type and the bytes of the matrix that a parameter is, its rows in the order of the parameter.
    package func blocks(_ spec: ParameterSpec) throws(PithError) -> (type: GGUFType, region: ByteRegion) {
        let name = try name(of: spec)
        let (tensor, type) = try tensor(name)
        do throws(PithError) {
            let (shape, region) = try matrix(of: tensor, slice: spec.ggufSlice, isRow: spec.shape[0] == 1)
            guard shape == spec.shape, spec.ggufOrder.fits(shape[0]) else {
                throw .data("has the shape \(shape)", remedy: "the keys say \(spec.shape)")
            }
            return (type, spec.ggufOrder.ordered(region, rows: shape[0]))
        } catch { throw error.within("\(path): tensor \(name)") }
    }

    /// The shape and the bytes of a matrix, or of one of those that a tensor holds.
    private func matrix(
        of tensor: GGUFTensor, slice: Int?, isRow: Bool
    ) throws(PithError) -> (shape: [Int], region: ByteRegion) {
        let region = region(of: tensor)
        guard let slice else {
            let shape = isRow && tensor.shape.count == 1 ? [1] + tensor.shape : tensor.shape
            guard shape.count == 2 else { throw .data("a matrix was expected, the shape is \(tensor.shape)") }
            return (shape, region)
        }
        guard tensor.shape.count == 3, slice < tensor.shape[0] else {
            throw .data("\(slice + 1) matrices or more were expected, the shape is \(tensor.shape)")
        }
        let size = region.count / tensor.shape[0]
        return (Array(tensor.shape[1...]), region[slice * size..<(slice + 1) * size])
    }

    /// The matrix or table that a parameter is. Throws unless it has the parameter's shape.
    func matrix(_ spec: ParameterSpec, pool: ThreadPool) throws(PithError) -> any RowDecodable {
        let name = try name(of: spec)
        let matrix = try linear(
            name, order: spec.ggufOrder, slice: spec.ggufSlice, isRow: spec.shape[0] == 1, pool: pool)
        guard [matrix.outputCount, matrix.inputCount] == spec.shape else {
            throw .data(
                "has the shape \([matrix.outputCount, matrix.inputCount])", at: "\(path): tensor \(name)",
                remedy: "the keys say \(spec.shape)")
        }
        return matrix
    }

    /// The vector that a parameter is.
    func vector(_ spec: ParameterSpec) throws(PithError) -> [Float] {
        let name = try name(of: spec)
        let values = try vector(name, shape: spec.ggufShape)
        guard spec.ggufOrder.fits(values.count) else { throw .data("\(values.count) elements are not whole heads") }
        do throws(PithError) {
            return try spec.ggufArrangement.taken(from: values.indices.map { values[spec.ggufOrder.source(of: $0)] })
        } catch { throw error.within("\(path): tensor \(name)") }
    }

    private func name(of spec: ParameterSpec) throws(PithError) -> String {
        guard let name = spec.ggufName else {
            throw .data("has no place for the weight \(spec.name)", at: path)
        }
        return name
    }

    /// Numbers that enter element by element, such as a norm's weight or a bias. Throws unless they have that shape.
    public func vector(_ name: String, shape: [Int]) throws(PithError) -> [Float] {
        let tensor = try values(name)
        guard tensor.shape == shape else {
            throw .data(
                "has the shape \(tensor.shape)", at: "\(path): tensor \(name)", remedy: "\(shape) is expected")
        }
        return tensor.values
    }
}
