import PithCoding
import PithCore
import PithTensor

/// First weights of a `ByteNetwork` as a file: the sizes, four bytes each (taps, embedding, width, layers, lowest byte
/// first), then the parameters, the upper two bytes of each float, lowest byte first.
package struct ByteNetworkWeights: Sendable {
    /// The sizes.
    package let shape: ByteNetworkShape
    /// What tells these weights from others: the XXHash64 of the file.
    package let fingerprint: UInt64
    private let bytes: [UInt8]

    private static let headerSize = 16

    /// Weights from a file's bytes; throws if they are none, or too large for this program.
    package init(_ bytes: [UInt8]) throws(PithError) {
        guard bytes.count > Self.headerSize else { throw .truncated(at: bytes.count) }
        let sizes = (0..<4).map { place in (0..<4).reduce(0) { $0 | Int(bytes[4 * place + $1]) << (8 * $1) } }
        let (taps, embedding, width, layers) = (sizes[0], sizes[1], sizes[2], sizes[3])
        guard (1...16).contains(taps), (16...256).contains(embedding), embedding % 16 == 0,
            (16...1024).contains(width), width % 16 == 0, (1...8).contains(layers)
        else { throw .data("the weights of a network of the sizes \(sizes) are not for this program") }
        shape = ByteNetworkShape(taps: taps, embedding: embedding, width: width, layers: layers)
        let expected = Self.headerSize + 2 * shape.parameterCount
        guard bytes.count == expected else {
            throw .data("the weights of a network have \(bytes.count) bytes", remedy: "\(expected) bytes")
        }
        self.bytes = bytes
        fingerprint = XXHash64.hash(bytes)
    }

    /// A file of a network's parameters, rounded.
    package static func file(_ shape: ByteNetworkShape, _ parameters: FloatBuffer) -> [UInt8] {
        var bytes: [UInt8] = []
        for size in [shape.taps, shape.embedding, shape.width, shape.layers] {
            for shift in 0..<4 { bytes.append(UInt8(size >> (8 * shift) & 255)) }
        }
        for index in 0..<shape.parameterCount {
            let bits = parameters.floats[index].bitPattern
            // To nearest, ties to even.
            let rounded = (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16
            bytes += [UInt8(rounded & 255), UInt8(rounded >> 8)]
        }
        return bytes
    }

    /// The parameters, to be changed by whoever asked.
    package func parameters() -> FloatBuffer {
        let store = FloatBuffer(shape.parameterCount)
        for index in 0..<shape.parameterCount {
            let place = Self.headerSize + 2 * index
            let value = Float(bitPattern: UInt32(bytes[place]) << 16 | UInt32(bytes[place + 1]) << 24)
            store.floats[index] = value.isFinite ? value : 0
        }
        return store
    }
}
