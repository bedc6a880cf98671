/// What a coder is set up for: chosen by the encoder, stored before the coded bits.
struct LeanProfile: Equatable {
    /// Whether contexts are words, rather than records and gaps.
    var isText = true
    /// The length of a record; 0 if none was found.
    var stride = 0
    /// The binary logarithm of the number of bytes, rounded up; tables have sizes that suit it.
    var sizeBits = 0

    /// The longest record that is looked for.
    static let longestStride = 1024

    /// The bytes before the coded bits.
    static let headerSize = 3

    /// What suits `input`.
    init(of input: [UInt8]) {
        sizeBits = Self.sizeBits(of: input.count)
        isText = Self.isText(input)
        if !isText { stride = Self.stride(of: input) }
    }

    /// The profile with which `count` bytes take most memory.
    init(count: Int) { sizeBits = Self.sizeBits(of: count) }

    /// The profile of a header; nil if it is none.
    init?(header: some Collection<UInt8>) {
        let bytes = Array(header.prefix(Self.headerSize))
        guard bytes.count == Self.headerSize, bytes[0] & 0x7F <= 63 else { return nil }
        sizeBits = Int(bytes[0] & 0x7F)
        isText = bytes[0] & 0x80 == 0
        stride = Int(bytes[1]) | Int(bytes[2]) << 8
        guard stride <= Self.longestStride else { return nil }
    }

    /// The bytes that `init(header:)` reads.
    var header: [UInt8] {
        [UInt8(sizeBits) | (isText ? 0 : 0x80), UInt8(stride & 255), UInt8(stride >> 8)]
    }

    private static func sizeBits(of count: Int) -> Int { Int.bitWidth - max(0, count - 1).leadingZeroBitCount }

    /// Text has next to no control characters.
    private static func isText(_ input: [UInt8]) -> Bool {
        var controls = 0
        for byte in input where byte < 32 && byte != 9 && byte != 10 && byte != 13 { controls += 1 }
        return controls * 50 <= input.count
    }

    /// The distance at which bytes are equal most often, where they differ from their neighbour; 0 if that is seldom.
    private static func stride(of input: [UInt8]) -> Int {
        // Enough of the input to tell, from its middle: beginnings are often unlike the rest.
        let sample = min(input.count, 1 << 16)
        let first = (input.count - sample) / 2
        let longest = min(longestStride, sample / 4)
        guard longest >= 2 else { return 0 }
        let places = (first + longest..<first + sample).filter { input[$0] != input[$0 - 1] }
        var best = (count: places.count / 16, stride: 0)
        for stride in 2...longest {
            var count = 0
            for place in places where input[place] == input[place - stride] { count += 1 }
            // A multiple of a good distance is little better by chance.
            if count > best.count + best.count / 8 { best = (count, stride) }
        }
        return best.stride
    }
}
