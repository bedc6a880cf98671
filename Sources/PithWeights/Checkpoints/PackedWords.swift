import PithCore
import PithTensor

/// Codes of some bits packed into words of 32, as other programs have them.
enum PackedWords {
    /// A stream of bits: codes one behind the other, the lowest bits first, over the borders of words.
    static func pack(_ codes: some Sequence<UInt8>, bits: Int) -> [UInt32] {
        var (words, held, count): ([UInt32], UInt64, Int) = ([], 0, 0)
        for code in codes {
            held |= UInt64(code) << UInt64(count)
            count += bits
            if count >= 32 {
                words.append(UInt32(truncatingIfNeeded: held))
                held >>= 32
                count -= 32
            }
        }
        if count > 0 { words.append(UInt32(truncatingIfNeeded: held)) }
        return words
    }

    /// The code at `index` of a stream of bits.
    @inline(__always)
    static func code(_ words: UnsafeBufferPointer<UInt32>, _ index: Int, bits: Int) -> UInt8 {
        let bit = index * bits
        let (word, shift) = (bit / 32, bit % 32)
        var value = UInt64(UInt32(littleEndian: words[word])) >> UInt64(shift)
        if shift + bits > 32 { value |= UInt64(UInt32(littleEndian: words[word + 1])) << UInt64(32 - shift) }
        return UInt8(truncatingIfNeeded: value & (1 << UInt64(bits) - 1))
    }

    /// Words of so many codes.
    static func count(_ codes: Int, bits: Int) -> Int { (codes * bits + 31) / 32 }
}

extension StoredTensor {
    /// Calls `body` with the elements of a tensor of 32 bits each.
    func withWords<Result>(
        _ body: (UnsafeBufferPointer<UInt32>) throws(PithError) -> Result
    ) throws(PithError) -> Result {
        let copy = aligned
        return try copy.region.withBytes { (bytes) throws(PithError) in
            try body(bytes.bindMemory(to: UInt32.self))
        }
    }

    /// A tensor of words.
    init(words: [UInt32], shape: [Int]) { self.init(words, as: .int32, shape: shape) }
}
