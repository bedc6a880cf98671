import PithCore

/// Huffman coding of blocks of bytes at the speed of memory: four streams a block, decoded side by side, and several
/// symbols for each look into the table.
///
/// A block has the sizes of its first three streams (2 bytes each, or 4 where a stream may need more), then the
/// streams. Each stream holds a quarter of the symbols, the last one what remains.
public struct HuffmanBlocks: Sendable {
    /// The code of single symbols, [256], with lengths up to `lengthLimit`.
    public let code: HuffmanCode
    // By the next bits of a stream: up to six symbols in the low bytes, then their bits, then their number.
    private let table: [UInt64]

    /// The longest code: what one look covers.
    public static let lengthLimit = 11
    private static let mask = UInt64(1 << lengthLimit) - 1
    private static let symbolsOfEntry = 6
    /// Looks between two refills: 56 bits are there at least.
    private static let looks = 5

    /// Prepares to code bytes. Codes longer than `lengthLimit` are refused.
    public init(_ code: HuffmanCode) throws(PithError) {
        guard code.lengths.count == 256, code.longest <= Self.lengthLimit else {
            throw .data(
                "a code of \(code.lengths.count) symbols and \(code.longest) bits",
                remedy: "256 symbols and \(Self.lengthLimit) bits are coded in blocks")
        }
        self.code = code
        table = Self.table(code)
    }

    /// The shortest code for bytes with these counts, [256]; nil if all are 0.
    public init?(counts: [Int]) {
        guard let code = HuffmanCode(counts: counts, limit: Self.lengthLimit), let blocks = try? Self(code) else {
            return nil
        }
        self = blocks
    }

    private static func table(_ code: HuffmanCode) -> [UInt64] {
        // One symbol for each index. A lone symbol has the code 0, and 1 is made to mean it too.
        var single = [(symbol: UInt64, length: Int)](repeating: (0, 0), count: 1 << lengthLimit)
        for (symbol, length) in code.lengths.enumerated() where length > 0 {
            for index in stride(from: Int(code.codes[symbol]), to: single.count, by: 1 << Int(length)) {
                single[index] = (UInt64(symbol), Int(length))
                if code.lengths.count(where: { $0 > 0 }) == 1 { single[index + 1] = single[index] }
            }
        }
        return (0..<single.count).map { index in
            var (entry, bits, count) = (UInt64(0), 0, 0)
            while count < symbolsOfEntry {
                let (symbol, length) = single[index >> bits]
                guard bits + length <= lengthLimit else { break }
                entry |= symbol << UInt64(8 * count)
                (bits, count) = (bits + length, count + 1)
            }
            return entry | UInt64(bits) << 48 | UInt64(count) << 56
        }
    }

    /// The symbols of a stream: a quarter of `count`, the last streams less.
    static func range(ofStream stream: Int, of count: Int) -> Range<Int> {
        let quarter = (count + 3) / 4
        return min(count, stream * quarter)..<min(count, (stream + 1) * quarter)
    }

    /// Bytes of each stream's size: two where no stream can be longer than they say.
    private static func sizeBytes(_ count: Int) -> Int { (count + 3) / 4 * lengthLimit <= 0xFFFF * 8 ? 2 : 4 }
}

// MARK: Encoding

extension HuffmanBlocks {
    /// The most bytes that a block of `count` symbols takes, with what `encode` writes beyond it meanwhile.
    public static func largestSize(_ count: Int) -> Int { (count * lengthLimit + 7) / 8 + 3 * 4 + 4 + 8 }

    /// Codes a block; every symbol must have a code. `target` has room for `largestSize`. Returns the bytes written.
    public func encode(_ symbols: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableRawPointer) -> Int {
        let sizeBytes = Self.sizeBytes(symbols.count)
        var end = target + 3 * sizeBytes
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { packed in
            // Code and length in one word.
            for symbol in 0..<256 {
                packed[symbol] = UInt32(code.codes[symbol]) | UInt32(code.lengths[symbol]) << 16
            }
            for stream in 0..<4 {
                let begin = end
                let part = UnsafeBufferPointer(rebasing: symbols[Self.range(ofStream: stream, of: symbols.count)])
                end = Self.write(part, UnsafePointer(packed.baseAddress!), to: begin)
                guard stream < 3 else { continue }
                let size = UInt32(end - begin).littleEndian
                withUnsafeBytes(of: size) {
                    (target + stream * sizeBytes).copyMemory(from: $0.baseAddress!, byteCount: sizeBytes)
                }
            }
            return end - target
        }
    }

    /// Codes a block; every symbol must have a code.
    public func encode(_ symbols: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.largestSize(symbols.count)) { buffer, size in
            size = symbols.withUnsafeBufferPointer { encode($0, into: buffer.baseAddress!) }
        }
    }

    /// One stream; returns its end. Up to eight bytes behind it are overwritten.
    @inline(__always)
    private static func write(
        _ symbols: UnsafeBufferPointer<UInt8>, _ packed: UnsafePointer<UInt32>, to begin: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        var (end, window, filled) = (begin, UInt64(0), UInt64(0))
        @inline(__always) func put(_ symbol: UInt8) {
            let word = packed[Int(symbol)]
            window |= UInt64(word & 0xFFFF) &<< filled
            filled &+= UInt64(word &>> 16)
        }
        @inline(__always) func flush() {
            end.storeBytes(of: window.littleEndian, as: UInt64.self)
            end += Int(filled &>> 3)
            window &>>= filled & ~7
            filled &= 7
        }
        guard var next = symbols.baseAddress else { return begin }
        let last = next + symbols.count
        // Seven bits are left at most, and five codes of eleven fill 62.
        while last - next >= 5 {
            put(next[0])
            put(next[1])
            put(next[2])
            put(next[3])
            put(next[4])
            flush()
            next += 5
        }
        while next < last {
            put(next[0])
            flush()
            next += 1
        }
        return end + (filled > 0 ? 1 : 0)
    }
}

// MARK: Decoding

/// One stream while it is decoded. The highest one bit of `bits` marks how far the window was used.
private struct Lane {
    var bits: UInt64
    var input: UnsafeRawPointer
    var output: UnsafeMutablePointer<UInt8>
    let outputEnd: UnsafeMutablePointer<UInt8>
    let inputEnd: UnsafeRawPointer

    @inline(__always)
    static func window(_ input: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: input.loadUnaligned(as: UInt64.self)) | 1 << 63
    }

    /// The window moves to the first byte that is not used up.
    @inline(__always)
    mutating func refill() {
        let used = UInt64(truncatingIfNeeded: bits.leadingZeroBitCount)
        input += Int(used &>> 3)
        bits = Self.window(input) &>> (used & 7)
    }

    /// One look: up to six symbols.
    @inline(__always)
    mutating func look(_ table: UnsafePointer<UInt64>, _ mask: UInt64) {
        let entry = table[Int(bits & mask)]
        UnsafeMutableRawPointer(output).storeBytes(of: entry.littleEndian, as: UInt64.self)
        bits = bits &>> ((entry &>> 48) & 63)
        output += Int(entry &>> 56)
    }
}

extension HuffmanBlocks {
    /// Decodes a block of `count` symbols into `target`.
    ///
    /// Damaged bytes give other symbols or an error; nothing is read outside of `block` or written outside of the
    /// `count` bytes at `target`.
    public func decode(
        _ block: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        guard count > 0 else { return }
        var lanes: [Lane] = []
        lanes.reserveCapacity(4)
        for stream in 0..<4 { lanes.append(try lane(stream, block, count, target)) }
        let end = block.baseAddress! + block.count
        try table.withUnsafeBufferPointer { (table) throws(PithError) in
            let table = table.baseAddress!
            decodeSideBySide(&lanes, table, readableEnd: end)
            for var lane in lanes { try finish(&lane, table, readableEnd: end) }
        }
    }

    /// Decodes one of a block's four streams, of a block of `count` symbols, into the place of its symbols in `target`.
    public func decode(
        stream: Int, of block: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        guard count > 0 else { return }
        var lane = try lane(stream, block, count, target)
        let end = block.baseAddress! + block.count
        try table.withUnsafeBufferPointer { (table) throws(PithError) in
            try finish(&lane, table.baseAddress!, readableEnd: end)
        }
    }

    private func lane(
        _ stream: Int, _ block: UnsafeRawBufferPointer, _ count: Int, _ target: UnsafeMutablePointer<UInt8>
    ) throws(PithError) -> Lane {
        let sizeBytes = Self.sizeBytes(count)
        var (begin, end) = (3 * sizeBytes, 3 * sizeBytes)
        guard begin <= block.count else { throw .truncated(at: block.count) }
        for index in 0...stream {
            begin = end
            guard index < 3 else {
                end = block.count
                break
            }
            end += Int(truncatingIfNeeded: block.word(at: index * sizeBytes) & (1 << UInt64(8 * sizeBytes) - 1))
            guard end <= block.count else { throw .truncated(at: block.count) }
        }
        let symbols = Self.range(ofStream: stream, of: count)
        return Lane(
            bits: 1 << 63, input: block.baseAddress! + begin, output: target + symbols.lowerBound,
            outputEnd: target + symbols.upperBound, inputEnd: block.baseAddress! + end)
    }

    /// All four streams for as long as none comes near its end.
    private func decodeSideBySide(
        _ lanes: inout [Lane], _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer
    ) {
        let (looks, mask) = (Self.looks, Self.mask)
        // What a turn writes at most, with the eight bytes of its last look.
        let room = looks * Self.symbolsOfEntry + 8
        var (a, b, c, d) = (lanes[0], lanes[1], lanes[2], lanes[3])
        func turns(_ lane: Lane) -> Int {
            // A turn reads 8 bytes at the window, which moves by 7 at most.
            min(
                (lane.outputEnd - lane.output - room) / (looks * Self.symbolsOfEntry),
                (readableEnd - lane.input - 16) / 7)
        }
        while true {
            let safe = min(min(turns(a), turns(b)), min(turns(c), turns(d)))
            guard safe > 0 else { break }
            for _ in 0..<safe {
                a.refill()
                b.refill()
                c.refill()
                d.refill()
                for _ in 0..<looks {
                    a.look(table, mask)
                    b.look(table, mask)
                    c.look(table, mask)
                    d.look(table, mask)
                }
            }
        }
        (lanes[0], lanes[1], lanes[2], lanes[3]) = (a, b, c, d)
    }

    /// The rest of one stream.
    private func finish(
        _ lane: inout Lane, _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer
    ) throws(PithError) {
        let mask = Self.mask
        while lane.outputEnd - lane.output >= 8 && readableEnd - lane.input >= 16 {
            lane.refill()
            lane.look(table, mask)
        }
        var used = lane.bits.leadingZeroBitCount
        while lane.output < lane.outputEnd {
            lane.input += used >> 3
            used &= 7
            guard lane.input <= lane.inputEnd else { throw .truncated(at: 0) }
            let rest = UnsafeRawBufferPointer(start: lane.input, count: readableEnd - lane.input)
            let entry = table[Int(rest.word(at: 0) &>> UInt64(used) & mask)]
            let number = min(Int(entry >> 56), lane.outputEnd - lane.output)
            for i in 0..<number { lane.output[i] = UInt8(truncatingIfNeeded: entry >> UInt64(8 * i)) }
            lane.output += number
            // Of the last look only the symbols that were asked for are sure to be in the stream.
            let bits = (0..<number).reduce(0) { $0 + Int(code.lengths[Int(lane.output[$1 - number])]) }
            used += bits
        }
        guard (lane.input - lane.inputEnd) * 8 + used <= 0 else { throw .truncated(at: 0) }
    }
}
