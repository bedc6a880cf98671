import PithCoding
import PithCore

/// How many choices a model finds likelier than a given one; of equally likely ones the first comes first.
enum Rank {
    /// The rank of a choice.
    static func of(_ choice: Int, _ logits: [Float]) throws(PithError) -> Int {
        let keys = try keys(logits)
        let own = keys[choice]
        return keys.reduce(0) { $0 + ($1 < own ? 1 : 0) }
    }

    /// The choice of a rank.
    static func choice(_ rank: Int, _ logits: [Float]) throws(PithError) -> Int {
        var keys = try keys(logits)
        guard keys.indices.contains(rank) else { throw .invalidStream("rank \(rank) of \(keys.count)") }
        // Quickselect: the part that holds the place `rank` of the sorted keys is divided again and again.
        var range = 0..<keys.count
        while range.count > 1 {
            let pivot = keys[range.lowerBound + range.count / 2]
            var (low, high) = (range.lowerBound, range.upperBound - 1)
            while low <= high {
                while keys[low] < pivot { low += 1 }
                while keys[high] > pivot { high -= 1 }
                if low <= high {
                    keys.swapAt(low, high)
                    low += 1
                    high -= 1
                }
            }
            if rank <= high {
                range = range.lowerBound..<high + 1
            } else if rank >= low {
                range = low..<range.upperBound
            } else {
                break
            }
        }
        return Int(keys[rank] & 0xFFFF_FFFF)
    }

    /// Numbers in the order of falling logits, with the choice in the lower half.
    private static func keys(_ logits: [Float]) throws(PithError) -> [UInt64] {
        var keys: [UInt64] = []
        keys.reserveCapacity(logits.count)
        for (index, logit) in logits.enumerated() {
            guard logit.isFinite else { throw .data("a logit is \(logit)", remedy: "predictions must be finite") }
            let bits = logit.bitPattern
            let falling = bits >> 31 == 1 ? bits : ~bits & 0x7FFF_FFFF
            keys.append(UInt64(falling) << 32 | UInt64(index))
        }
        return keys
    }
}

/// A rank as a class and some bits, as deflate writes distances: ranks below 32 have classes of their own, and of
/// those between two powers of two a quarter shares one.
struct RankClass {
    /// The number of classes; ranks are below 2^24.
    static let count = 32 + 19 * 4

    let index: Int
    /// What tells ranks of a class apart.
    let extra: UInt64
    let extraBits: Int

    init(_ rank: Int) {
        guard rank >= 32 else {
            (index, extra, extraBits) = (rank, 0, 0)
            return
        }
        let power = Int.bitWidth - 1 - rank.leadingZeroBitCount
        extraBits = power - 2
        index = 32 + (power - 5) * 4 + (rank >> extraBits & 3)
        extra = UInt64(rank & (1 << extraBits - 1))
    }

    /// The bits behind a class.
    static func extraBits(_ index: Int) -> Int { index < 32 ? 0 : (index - 32) / 4 + 3 }

    /// The rank again.
    static func rank(_ index: Int, extra: UInt64) -> Int {
        index < 32 ? index : (4 + (index - 32) % 4) << extraBits(index) + Int(extra)
    }
}

/// Ranks in blocks with a Huffman code each: what deflate makes of them, but for its matches.
struct HuffmanRankEncoder: ChoiceEncoder {
    fileprivate static let blockLength = 1 << 14

    /// Ranks, and in their places bytes that nothing predicts, which follow their rank.
    private var ranks: [Int] = []
    private var escapes: [Int: UInt8] = [:]
    private var stream: [UInt8] = []

    static func code(of choice: Int, _ logits: [Float]) throws(PithError) -> Int { try Rank.of(choice, logits) }
    static func bits(of code: Int) -> Double { 0 }

    mutating func write(_ rank: Int) {
        if ranks.count == Self.blockLength { writeBlock() }
        ranks.append(rank)
    }

    mutating func write(byte: UInt8) { escapes[ranks.count - 1] = byte }

    consuming func finish() -> [UInt8] {
        writeBlock()
        return stream
    }

    /// The number of ranks and of bytes behind the code, in 2 and 4 bytes; the code; classes, extra bits and bytes.
    private mutating func writeBlock() {
        let classes = ranks.map(RankClass.init)
        var counts = [Int](repeating: 0, count: 256)
        for item in classes { counts[item.index] += 1 }
        guard let code = HuffmanCode(counts: counts) else { return }
        var bits = BitWriter()
        for (place, item) in classes.enumerated() {
            code.write(item.index, to: &bits)
            bits.write(item.extra, count: item.extraBits)
            if let byte = escapes[place] { bits.write(UInt64(byte), count: 8) }
        }
        let body = bits.finish()
        stream += [UInt8(ranks.count & 255), UInt8(ranks.count >> 8)]
        stream += (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) }
        stream += code.serialized + body
        (ranks, escapes) = ([], [:])
    }
}

/// Reads blocks of ranks.
struct HuffmanRankDecoder: ChoiceDecoder {
    private let region: ByteRegion
    private var offset = 0
    private var left = 0
    private var block: (decoder: HuffmanDecoder, bits: BitReader)?

    init(_ payload: CodedPayload) { region = payload.region }

    mutating func read(_ logits: [Float]) throws(PithError) -> Int {
        if left == 0 { try openBlock() }
        left -= 1
        guard let decoder = block?.decoder, var bits = block?.bits else { throw .truncated(at: offset) }
        let index = try decoder.decode(&bits)
        guard index < RankClass.count else { throw .invalidStream("a rank of class \(index)") }
        let extra = try bits.read(RankClass.extraBits(index))
        block?.bits = bits
        return try Rank.choice(RankClass.rank(index, extra: extra), logits)
    }

    mutating func readByte() throws(PithError) -> UInt8 {
        UInt8(truncatingIfNeeded: try block?.bits.read(8) ?? 0)
    }

    private mutating func openBlock() throws(PithError) {
        guard offset + 6 <= region.count else { throw .truncated(at: region.count) }
        let header = (0..<6).map { Int(region.bytes[offset + $0]) }
        left = header[0] | header[1] << 8
        let size = header[2] | header[3] << 8 | header[4] << 16 | header[5] << 24
        guard left > 0 else { throw .invalidStream("a block without ranks") }
        var place = offset + 6
        let code = try region.withBytes { (bytes) throws(PithError) in try HuffmanCode(serialized: bytes, at: &place) }
        guard size <= region.count - place else { throw .truncated(at: region.count) }
        block = (HuffmanDecoder(code), BitReader(region[place..<place + size]))
        offset = place + size
    }
}

/// Ranks under adaptive models, each chosen by the class before.
struct AdaptiveRankEncoder: ChoiceEncoder {
    private var encoder = RangeEncoder()
    private var classes = AdaptiveRankClasses()

    static func code(of choice: Int, _ logits: [Float]) throws(PithError) -> Int { try Rank.of(choice, logits) }
    static func bits(of code: Int) -> Double { 0 }

    mutating func write(_ rank: Int) {
        let item = RankClass(rank)
        classes.current.encode(item.index, to: &encoder)
        encoder.encode(bits: UInt32(item.extra), count: UInt32(item.extraBits))
        classes.follow(item.index)
    }

    mutating func write(byte: UInt8) { encoder.encode(bits: UInt32(byte), count: 8) }

    consuming func finish() -> [UInt8] { encoder.finish() }
}

/// Reads ranks under adaptive models.
struct AdaptiveRankDecoder: ChoiceDecoder {
    private var decoder: RangeDecoder
    private var classes = AdaptiveRankClasses()

    init(_ payload: CodedPayload) throws(PithError) {
        decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
    }

    mutating func read(_ logits: [Float]) throws(PithError) -> Int {
        let index = try classes.current.decode(from: &decoder)
        guard index < RankClass.count else { throw .invalidStream("a rank of class \(index)") }
        let extra = try decoder.decode(bits: UInt32(RankClass.extraBits(index)))
        classes.follow(index)
        return try Rank.choice(RankClass.rank(index, extra: UInt64(extra)), logits)
    }

    mutating func readByte() throws(PithError) -> UInt8 { UInt8(truncatingIfNeeded: try decoder.decode(bits: 8)) }
}

/// Models of the next rank's class: one for each class of the two ranks before, coarsely.
private struct AdaptiveRankClasses {
    private var models = [BitTree](repeating: BitTree(bits: 7), count: 16)
    private var context = 0

    var current: BitTree {
        get { models[context] }
        _modify { yield &models[context] }
    }

    mutating func follow(_ index: Int) {
        context = context & 3 << 2 | (index == 0 ? 0 : index < 4 ? 1 : index < 32 ? 2 : 3)
    }
}
