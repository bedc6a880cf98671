import PithCore
import PithModels
import PithTensor
import PithWeights

extension StoredLinear {
    /// All tensors that it is stored in, those of its components included, in a fixed order.
    public var allTensors: [StoredTensor] {
        let parts = stored
        return parts.tensors.sorted { $0.key < $1.key }.map(\.value)
            + parts.components.sorted { $0.key < $1.key }.flatMap { $0.value.allTensors }
    }

    /// Whether another is stored in the same tensors byte for byte.
    public func hasSameBytes(as other: any StoredLinear) -> Bool {
        let (tensors, others) = (allTensors, other.allTensors)
        return tensors.count == others.count
            && zip(tensors, others).allSatisfy {
                $0.type == $1.type && $0.shape == $1.shape && $0.region.bytes.elementsEqual($1.region.bytes)
            }
    }

    /// The same matrix read again from copies of its parts, which lie at odd addresses as they may in a file.
    public func reopened(_ layouts: LayoutCatalogue = WeightLayouts.catalogue) throws(PithError) -> any StoredLinear {
        var parts = stored
        for (name, tensor) in parts.tensors {
            let shifted = ByteRegion(copying: [0xFF] + Array(tensor.region.bytes))
            parts.tensors[name] = StoredTensor(
                type: tensor.type, shape: tensor.shape, region: shifted[1..<1 + tensor.byteCount])
        }
        for (name, component) in parts.components { parts.components[name] = try component.reopened(layouts) }
        return try layouts.open(Self.layout, parts, shape: [outputCount, inputCount])
    }
}

extension LayerProblem {
    /// The squared error of a compressed W by the measure of what its codec knew, as a share of dropping W: of the
    /// weights, of the weights by their inputs' norms, or of the outputs.
    func error(_ compressed: any StoredLinear, knowing needs: CalibrationNeeds) -> Double {
        if needs == .hessian { return outputError(compressed) }
        var tiles = Tensor(rows: weight.columns, columns: weight.columns)
        for i in 0..<weight.columns { tiles[i, i] = 1 }
        // [inputs, outputs]: the columns of W one by one.
        let decoded = tiles.multiplied(by: compressed)
        let squares = statistics.columnSquares
        var (lost, all) = (0.0, 0.0)
        for column in 0..<weight.columns {
            let factor = needs == .columnNorms ? squares[column] : 1
            for row in 0..<weight.rows {
                let (exact, found) = (Double(weight[row, column]), Double(decoded[column, row]))
                lost += factor * (exact - found) * (exact - found)
                all += factor * exact * exact
            }
        }
        return lost / all
    }
}
