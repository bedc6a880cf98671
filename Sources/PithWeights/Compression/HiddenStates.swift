import PithCore
import PithFormats
import PithTensor

/// The hidden states of the calibration text at the entrance of a layer, [rows, width of the stream], in a file: memory
/// holds those alone that are worked on.
struct HiddenStates {
    /// The layer that reads them.
    let layer: Int
    private let tensor: StoredTensor

    private static let (name, layerKey) = ("hidden", "layer")

    /// Opens the file at `path`.
    init(_ path: String, rows: Int, width: Int) throws(PithError) {
        let file = try SafetensorsFile(path)
        guard let layer = file.metadata[Self.layerKey].flatMap({ Int($0) }), let tensor = file[Self.name],
            tensor.type == .float32, tensor.shape == [rows, width]
        else { throw .data("does not hold \(rows) hidden states of width \(width)", at: path) }
        (self.layer, self.tensor) = (layer, tensor)
    }

    /// Writes those that `layer` reads; `batches` gives them to its argument, some rows after the other.
    static func write(
        to path: String, layer: Int, rows: Int, width: Int,
        batches: @escaping @Sendable ((Tensor) throws(PithError) -> Void) throws(PithError) -> Void
    ) throws(PithError) {
        let content = TensorContent(type: .float32, shape: [rows, width]) { (consumer) throws(PithError) in
            try batches { (batch) throws(PithError) in
                try batch.values.withUnsafeBufferPointer { (values) throws(PithError) in
                    try consumer(UnsafeRawBufferPointer(values))
                }
            }
        }
        try SafetensorsWriter.write(
            contents: [(name, content)], metadata: [layerKey: "\(layer)"], to: path)
    }

    /// Some rows.
    func rows(_ range: Range<Int>) -> Tensor {
        let width = tensor.shape[1]
        let region = tensor.region[4 * width * range.lowerBound..<4 * width * range.upperBound]
        defer { region.releaseMemory() }
        let values = region.withBytes { bytes in
            [Float](unsafeUninitializedCapacity: range.count * width) { buffer, count in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
                count = range.count * width
            }
        }
        return Tensor(shape: [range.count, width], values: values)
    }
}
