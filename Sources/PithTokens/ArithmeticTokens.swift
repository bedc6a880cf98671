import PithCoding
import PithCore

/// Text as one arithmetic-coded stream, cut into tokens of one byte each: nothing is ever reset.
///
/// What a token means depends on all before it. This is what Equal-Info Windows are measured beside.
public struct ArithmeticTokens: Sendable {
    /// What predicts.
    public let model: ByteContextModel

    /// Tokens under a model.
    public init(model: ByteContextModel) { self.model = model }

    /// The tokens of some bytes, each below 256.
    public func encode(_ bytes: [UInt8]) -> [UInt8] {
        var encoder = RangeEncoder()
        var context = ByteContextModel.Context()
        var shares = [UInt32](repeating: 0, count: 256)
        for byte in bytes {
            model.predict(context, into: &shares)
            let start = shares[..<Int(byte)].reduce(0, +)
            encoder.encode(
                start: start, frequency: shares[Int(byte)], totalBits: ByteContextModel.totalBits)
            model.advance(&context, by: byte)
        }
        return encoder.finish()
    }

    /// The first `count` bytes that some tokens stand for.
    public func decode(_ tokens: [UInt8], count: Int) throws(PithError) -> [UInt8] {
        var decoder = try RangeDecoder(tokens)
        var (bytes, context) = ([UInt8](), ByteContextModel.Context())
        var shares = [UInt32](repeating: 0, count: 256)
        while bytes.count < count {
            model.predict(context, into: &shares)
            let slot = decoder.slot(totalBits: ByteContextModel.totalBits)
            var (byte, start) = (0, UInt32(0))
            while byte < 255, slot - start >= shares[byte] {
                start += shares[byte]
                byte += 1
            }
            guard slot - start < shares[byte] else { throw .data("the tokens are no stream of this byte model") }
            try decoder.advance(start: start, frequency: shares[byte], totalBits: ByteContextModel.totalBits)
            bytes.append(UInt8(byte))
            model.advance(&context, by: UInt8(byte))
        }
        return bytes
    }
}
