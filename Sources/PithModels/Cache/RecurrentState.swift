import PithCore
import PithTensor

/// What one recurrence keeps of the positions read, however many they are. Copies share their elements until one of
/// them reads on.
public struct RecurrentState: Equatable, Sendable {
    /// The extents.
    public let shape: [Int]
    private var elements: [Float]

    /// The state before anything was read: zeros.
    public init(shape: [Int]) {
        self.shape = shape
        elements = [Float](repeating: 0, count: shape.reduce(1, *))
    }

    /// The bits of all elements.
    public var storedBits: Int { 32 * elements.count }

    /// Lets `body` change the elements.
    mutating func withElements(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        elements.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
    }

    /// Forgets everything.
    mutating func clear() { elements = [Float](repeating: 0, count: elements.count) }

    /// The elements, to be saved.
    public var stored: StoredTensor { StoredTensor(Tensor(shape: shape, values: elements)) }

    /// Takes up what `stored` gave.
    public mutating func restore(_ tensor: StoredTensor) throws(PithError) {
        guard tensor.type == .float32, tensor.shape == shape else {
            throw .data(
                "a saved state is \(tensor.type.rawValue) \(tensor.shape)", remedy: "the model has F32 \(shape)")
        }
        elements = try tensor.decoded().values
    }
}
