import PithCore

/// Decodes symbols one by one: short codes by one look into a table, longer ones bit by bit.
public struct HuffmanDecoder: Sendable {
    private static let tableBits = 10
    // Symbol · 16 + length by the next bits of the stream; 0 where the code is longer than the table's index.
    private let table: [UInt32]
    // By length: the first code, how many there are, and where their symbols begin.
    private let firstCodes: [Int]
    private let numbers: [Int]
    private let symbolStarts: [Int]
    private let symbols: [UInt16]
    private let longest: Int

    /// Prepares to decode a code.
    public init(_ code: HuffmanCode) {
        let limit = HuffmanCode.lengthLimit
        var numbers = [Int](repeating: 0, count: limit + 1)
        for length in code.lengths where length > 0 { numbers[Int(length)] += 1 }
        var (firstCodes, starts, next, start) = ([0], [0], 0, 0)
        for length in 1...limit {
            firstCodes.append(next)
            starts.append(start)
            next = (next + numbers[length]) << 1
            start += numbers[length]
        }
        var table = [UInt32](repeating: 0, count: 1 << Self.tableBits)
        for (symbol, length) in code.lengths.enumerated() where length > 0 && length <= Self.tableBits {
            for index in stride(from: Int(code.codes[symbol]), to: table.count, by: 1 << Int(length)) {
                table[index] = UInt32(symbol) << 4 | UInt32(length)
            }
        }
        let present = code.lengths.indices.filter { code.lengths[$0] > 0 }
        symbols = present.sorted { (code.lengths[$0], $0) < (code.lengths[$1], $1) }.map { UInt16($0) }
        (self.table, self.firstCodes, self.numbers, symbolStarts) = (table, firstCodes, numbers, starts)
        longest = code.longest
    }

    /// The next symbol of a stream.
    @inline(__always)
    public func decode(_ stream: inout BitReader) throws(PithError) -> Int {
        let entry = table[Int(stream.peek(Self.tableBits))]
        guard entry == 0 else {
            try stream.skip(Int(entry & 15))
            return Int(entry >> 4)
        }
        return try decodeLong(&stream)
    }

    private func decodeLong(_ stream: inout BitReader) throws(PithError) -> Int {
        let window = stream.peek(HuffmanCode.lengthLimit)
        var code = 0
        for length in 1...max(1, longest) {
            code = code << 1 | Int(window >> UInt64(length - 1) & 1)
            let place = code - firstCodes[length]
            if place >= 0 && place < numbers[length] {
                try stream.skip(length)
                return Int(symbols[symbolStarts[length] + place])
            }
        }
        throw .invalidStream("bits that are no code")
    }
}
