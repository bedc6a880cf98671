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

    /// The table, from tables of fewer bits: a symbol, and what the table of the bits behind its code says.
    private static func table(_ code: HuffmanCode) -> [UInt64] {
        // By index, symbol · 16 + length. A lone symbol has the code 0, and 1 is made to mean it too.
        var single = [UInt16](repeating: 0, count: 1 << lengthLimit)
        for (symbol, length) in code.lengths.enumerated() where length > 0 {
            let first = code.longest == 1 && code.codedSymbolCount == 1 ? 0 : Int(code.codes[symbol])
            let step = code.codedSymbolCount == 1 ? 1 : 1 << Int(length)
            for index in stride(from: first, to: single.count, by: step) {
                single[index] = UInt16(symbol) << 4 | UInt16(length)
            }
        }
        // The table of b bits stands from 2^b on.
        var tables = [UInt64](repeating: 0, count: 2 << lengthLimit)
        for bits in 1...lengthLimit {
            for index in 0..<1 << bits {
                let (symbol, length) = (UInt64(single[index] >> 4), Int(single[index] & 15))
                guard length <= bits else { continue }
                var behind = tables[1 << (bits - length) + index >> length]
                if behind >> 56 == UInt64(symbolsOfEntry) {
                    // No room for the last symbol.
                    behind -= UInt64(code.lengths[Int(behind >> 40 & 255)]) << 48 + 1 << 56
                }
                let symbols = behind << 8 & 0xFFFF_FFFF_FFFF | symbol
                tables[1 << bits + index] = behind & 0xFFFF << 48 + UInt64(length) << 48 + 1 << 56 | symbols
            }
        }
        return Array(tables[(1 << lengthLimit)...])
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
    public static func largestSize(_ count: Int) -> Int { 3 * 4 + 4 * largestStream(count) }

    /// The most bytes of one stream, and eight that are written beyond it.
    private static func largestStream(_ count: Int) -> Int { ((count + 3) / 4 * lengthLimit + 7) / 8 + 8 }

    /// Codes a block; every symbol must have a code. `target` has room for `largestSize`. Returns the bytes written.
    public func encode(_ symbols: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableRawPointer) -> Int {
        guard let base = symbols.baseAddress, !symbols.isEmpty else { return 0 }
        let (sizeBytes, room) = (Self.sizeBytes(symbols.count), Self.largestStream(symbols.count))
        let first = target + 3 * sizeBytes
        func stream(_ index: Int) -> StreamWriter {
            let range = Self.range(ofStream: index, of: symbols.count)
            return StreamWriter(next: base + range.lowerBound, last: base + range.upperBound, end: first + index * room)
        }
        return withWords { table in
            var (a, b, c, d) = (stream(0), stream(1), stream(2), stream(3))
            // The last stream is the shortest.
            for _ in 0..<(d.last - d.next) / 4 {
                a.writeFour(table)
                b.writeFour(table)
                c.writeFour(table)
                d.writeFour(table)
            }
            // Each was written where it has room; now they are moved together.
            var end = first + a.finish(code)
            for (index, size) in [b.finish(code), c.finish(code), d.finish(code)].enumerated() {
                end.copyMemory(from: first + (index + 1) * room, byteCount: size)
                end += size
            }
            for (index, size) in [a.size, b.size, c.size].enumerated() {
                withUnsafeBytes(of: UInt32(size).littleEndian) {
                    (target + index * sizeBytes).copyMemory(from: $0.baseAddress!, byteCount: sizeBytes)
                }
            }
            return end - target
        }
    }

    /// Calls `body` with the codes of pairs, by the second symbol · 256 + the first, and their lengths from bit 24 on;
    /// pairs of symbols without codes have no meaning.
    private func withWords<Result>(_ body: (UnsafePointer<UInt32>) -> Result) -> Result {
        let present = code.lengths.indices.filter { code.lengths[$0] > 0 }
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 1 << 16) { words in
            for second in present {
                let (upper, length) = (UInt32(code.codes[second]), UInt32(code.lengths[second]))
                for first in present {
                    let shift = UInt32(code.lengths[first])
                    words[second << 8 | first] =
                        UInt32(code.codes[first]) | upper &<< shift | (shift &+ length) &<< 24
                }
            }
            return body(words.baseAddress!)
        }
    }

    /// Codes a block; every symbol must have a code.
    public func encode(_ symbols: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.largestSize(symbols.count)) { buffer, size in
            size = symbols.withUnsafeBufferPointer { encode($0, into: buffer.baseAddress!) }
        }
    }
}

/// One stream while it is written. Up to eight bytes behind its end are overwritten.
private struct StreamWriter {
    var next: UnsafePointer<UInt8>
    let last: UnsafePointer<UInt8>
    var end: UnsafeMutableRawPointer
    private(set) var size = 0
    private let begin: UnsafeMutableRawPointer
    private var window: UInt64 = 0
    private var filled: UInt64 = 0

    init(next: UnsafePointer<UInt8>, last: UnsafePointer<UInt8>, end: UnsafeMutableRawPointer) {
        (self.next, self.last, self.end, begin) = (next, last, end, end)
    }

    @inline(__always)
    private mutating func put(_ word: UInt32) {
        window |= UInt64(word & 0xFF_FFFF) &<< filled
        filled &+= UInt64(word &>> 24)
    }

    @inline(__always)
    private mutating func put(pair offset: Int, _ table: UnsafePointer<UInt32>) {
        let pair = UnsafeRawPointer(next).loadUnaligned(fromByteOffset: offset, as: UInt16.self)
        put(table[Int(UInt16(littleEndian: pair))])
    }

    @inline(__always)
    private mutating func flush() {
        end.storeBytes(of: window.littleEndian, as: UInt64.self)
        end += Int(filled &>> 3)
        window &>>= filled & ~7
        filled &= 7
    }

    /// Seven bits are left at most, and four codes of eleven fill 51.
    @inline(__always)
    mutating func writeFour(_ table: UnsafePointer<UInt32>) {
        put(pair: 0, table)
        put(pair: 2, table)
        flush()
        next += 4
    }

    /// Writes what remains and returns the size.
    mutating func finish(_ code: HuffmanCode) -> Int {
        while next < last {
            put(UInt32(code.codes[Int(next.pointee)]) | UInt32(code.lengths[Int(next.pointee)]) << 24)
            flush()
            next += 1
        }
        size = end - begin + (filled > 0 ? 1 : 0)
        return size
    }
}

// MARK: Decoding

/// One stream while it is decoded.
private struct Lane {
    var input: UnsafeRawPointer
    var output: UnsafeMutablePointer<UInt8>
    let outputEnd: UnsafeMutablePointer<UInt8>
    let inputEnd: UnsafeRawPointer
    /// The bits behind those that are used up.
    var bits: UInt64 = 0
    /// Since both pointers were moved: the bits used, and from bit 8 on the symbols written.
    var taken: UInt64 = 0

    /// Moves the pointers; up to seven used bits remain.
    @inline(__always)
    mutating func settle() {
        output += Int(taken &>> 8)
        input += Int((taken & 255) &>> 3)
        taken &= 7
    }

    /// The next bits, 57 or more.
    @inline(__always)
    mutating func refill() {
        settle()
        bits = UInt64(littleEndian: input.loadUnaligned(as: UInt64.self)) &>> taken
    }

    /// One look: up to six symbols.
    @inline(__always)
    mutating func look(_ table: UnsafePointer<UInt64>, _ mask: UInt64) {
        let entry = table[Int(bits & mask)]
        UnsafeMutableRawPointer(output + Int(taken &>> 8)).storeBytes(of: entry.littleEndian, as: UInt64.self)
        let step = entry &>> 48
        bits = bits &>> (step & 63)
        taken &+= step
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
        var lanes = (
            try lane(0, block, count, target), try lane(1, block, count, target), try lane(2, block, count, target),
            try lane(3, block, count, target)
        )
        let end = block.baseAddress! + block.count
        try table.withUnsafeBufferPointer { (table) throws(PithError) in
            let table = table.baseAddress!
            decodeSideBySide(&lanes, table, readableEnd: end)
            try finish(&lanes.0, table, readableEnd: end, writableEnd: target + count)
            try finish(&lanes.1, table, readableEnd: end, writableEnd: target + count)
            try finish(&lanes.2, table, readableEnd: end, writableEnd: target + count)
            try finish(&lanes.3, table, readableEnd: end, writableEnd: target + count)
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
            input: block.baseAddress! + begin, output: target + symbols.lowerBound,
            outputEnd: target + symbols.upperBound, inputEnd: block.baseAddress! + end)
    }

    /// All four streams for as long as none comes near its end.
    private func decodeSideBySide(
        _ lanes: inout (Lane, Lane, Lane, Lane), _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer
    ) {
        let (looks, mask) = (Self.looks, Self.mask)
        // What a turn writes at most, with the eight bytes of its last look.
        let room = looks * Self.symbolsOfEntry + 8
        var (a, b, c, d) = lanes
        func turns(_ lane: Lane) -> Int {
            // A turn reads 8 bytes at the window, which moves by 7 at most.
            min(
                (lane.outputEnd - lane.output - room) / (looks * Self.symbolsOfEntry),
                (readableEnd - lane.input - 16) / 7)
        }
        func settle() {
            a.settle()
            b.settle()
            c.settle()
            d.settle()
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
            settle()
        }
        // Nearer to the end one look at a time.
        func canLook(_ lane: Lane) -> Bool { lane.outputEnd - lane.output >= 8 && readableEnd - lane.input >= 16 }
        while canLook(a) && canLook(b) && canLook(c) && canLook(d) {
            a.refill()
            b.refill()
            c.refill()
            d.refill()
            a.look(table, mask)
            b.look(table, mask)
            c.look(table, mask)
            d.look(table, mask)
            settle()
        }
        lanes = (a, b, c, d)
    }

    /// The rest of one stream; nothing is written from `writableEnd` on.
    private func finish(
        _ lane: inout Lane, _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer,
        writableEnd: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        if readableEnd - lane.input >= 32 && writableEnd - lane.outputEnd >= 8 && lane.outputEnd > lane.output {
            finishByLooks(&lane, table, readableEnd: readableEnd)
        }
        // Looks stop where the block ends, be it that the streams behind this one are short.
        finishBySymbols(&lane, table, readableEnd: readableEnd)
        guard lane.output == lane.outputEnd, (lane.input - lane.inputEnd) * 8 + Int(lane.taken) <= 0 else {
            throw .truncated(at: 0)
        }
    }

    /// Looks write beyond the end of the stream's symbols, where those of the next stream lie already; they are put
    /// back. Stops where the bytes end.
    private func finishByLooks(_ lane: inout Lane, _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer) {
        let end = UnsafeMutableRawPointer(lane.outputEnd)
        let behind = end.loadUnaligned(as: UInt64.self)
        while lane.output < lane.outputEnd && readableEnd - lane.input >= 16 {
            lane.refill()
            lane.look(table, Self.mask)
            // The last look may take symbols that are not the stream's: their bits are given back.
            while lane.output + Int(lane.taken >> 8) > lane.outputEnd {
                lane.taken -= 1 << 8
                lane.taken -= UInt64(code.lengths[Int(lane.output[Int(lane.taken >> 8)])])
            }
            lane.settle()
        }
        end.storeBytes(of: behind, as: UInt64.self)
    }

    private func finishBySymbols(_ lane: inout Lane, _ table: UnsafePointer<UInt64>, readableEnd: UnsafeRawPointer) {
        while lane.output < lane.outputEnd && lane.input <= lane.inputEnd {
            let rest = UnsafeRawBufferPointer(start: lane.input, count: max(0, readableEnd - lane.input))
            let symbol = UInt8(truncatingIfNeeded: table[Int(rest.word(at: 0) &>> lane.taken & Self.mask)])
            lane.output.pointee = symbol
            lane.taken += 1 << 8 + UInt64(code.lengths[Int(symbol)])
            lane.settle()
        }
    }
}
