import PithCore
import PithTensor

/// Where the tensors of a file lie, and how their elements are written: what compression without loss has to know.
public struct TensorRange: Sendable, Equatable {
    /// How elements are written.
    public enum Encoding: Sendable, Equatable {
        /// One by one.
        case elements(ElementType)
        /// In blocks of so many bytes, as quantised tensors are.
        case blocks(Int)
    }
    /// The tensor's name.
    public var name: String
    /// The bytes in the file.
    public var range: Range<Int>
    /// How elements are written.
    public var encoding: Encoding

    /// A range of a file.
    public init(name: String, range: Range<Int>, encoding: Encoding) {
        self.name = name
        self.range = range
        self.encoding = encoding
    }
}
