import PithCore
import PithTensor

/// A tensor that is to be written. Its bytes come in pieces, so that it need not be in memory as a whole.
public struct TensorContent: Sendable {
    /// Takes a piece of the bytes, which is there during the call only.
    public typealias Consumer = (UnsafeRawBufferPointer) throws(PithError) -> Void

    /// How the elements are written.
    public let type: ElementType
    /// The extents, outermost first.
    public let shape: [Int]
    private let pieces: @Sendable (Consumer) throws(PithError) -> Void

    /// A tensor whose bytes, as many as type and shape say, `pieces` gives to its argument in order.
    public init(
        type: ElementType, shape: [Int], pieces: @escaping @Sendable (Consumer) throws(PithError) -> Void
    ) {
        (self.type, self.shape, self.pieces) = (type, shape, pieces)
    }

    /// A tensor that is there. The memory of what is mapped is let go as it is read.
    public init(_ tensor: StoredTensor) {
        self.init(type: tensor.type, shape: tensor.shape) { (consumer) throws(PithError) in
            try tensor.region.forEachPiece(consumer)
        }
    }

    /// The number of bytes.
    public var byteCount: Int { shape.reduce(type.byteCount, *) }

    /// Gives the bytes to `body` in order. Throws if they are not as many as type and shape say.
    public func forEachPiece(_ body: Consumer) throws(PithError) {
        var count = 0
        try pieces { (piece) throws(PithError) in
            count += piece.count
            try body(piece)
        }
        guard count == byteCount else {
            throw .fault("\(count) bytes were given of \(type.rawValue) \(shape)")
        }
    }
}
