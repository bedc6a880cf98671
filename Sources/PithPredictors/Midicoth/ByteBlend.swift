/// Four kinds of models blended into one distribution of the next byte, each over what stands below it.
///
/// From the bottom: all bytes alike; contexts of the last 0 to 4 bytes (`ppm`); the letters of the word so far, alone
/// and with the word before (`word`); the last 5 to 8 bytes (`high`); the longest match (`match`).
struct ByteBlend {
    /// Which models take part.
    struct Layers: OptionSet {
        let rawValue: Int
        static let ppm = Layers(rawValue: 1)
        static let match = Layers(rawValue: 2)
        static let word = Layers(rawValue: 4)
        static let high = Layers(rawValue: 8)
        static let all: Layers = [.ppm, .match, .word, .high]
    }

    /// The kinds of contexts, the lowest first: orders 0 to 4, the word, the word and the one before, orders 5 to 8.
    private static let kinds = 11
    private static let orders = [0, 1, 2, 3, 4, -1, -2, 5, 6, 7, 8]
    private static let bucketsForEachKind = 10 * 6

    /// Shares of the 256 bytes in 2³⁰, rounded; none is 0.
    private(set) var shares = [UInt32](repeating: 1 << 22, count: 256)
    /// The sums of shares under each node of the tree of bits: node 1 is the root, those of bytes begin at 256.
    private(set) var sums = [UInt32](repeating: 0, count: 512)
    /// How many of the last bytes are a known context, 0 to 8.
    private(set) var knownOrder = 0
    /// How often that context was seen: 0, 1, 2, 3 or 4, 5…8, 9…16, 17…32, more.
    private(set) var confidence = 0
    /// The length of the match.
    var matchLength: Int { match.length }
    /// The byte that the match predicts.
    var matched: UInt8? { layers.contains(.match) ? match.predicted : nil }
    /// The last byte.
    var last: UInt8 { UInt8(truncatingIfNeeded: recent) }

    private let layers: Layers
    private let active: [Int]
    private var counts = ContextCounts()
    private var match = MatchPredictor()
    private var weights: BlendWeights
    private var matchWeights: BlendWeights
    private var hashes = [UInt64](repeating: 0, count: kinds)
    private var found = [UInt32](repeating: ContextCounts.none, count: kinds)
    private var speaks = [Bool](repeating: false, count: kinds)
    private var cells = [Int](repeating: 0, count: kinds)
    // The last eight bytes, the latest lowest; hashes of the word so far and of the one before.
    private var recent: UInt64 = 0
    private var word: UInt64 = 0
    private var wordBefore: UInt64 = 0

    /// A blend of some layers.
    init(layers: Layers) {
        self.layers = layers
        active = (0..<Self.kinds).filter { kind in
            kind < 5 ? layers.contains(.ppm) : kind < 7 ? layers.contains(.word) : layers.contains(.high)
        }
        weights = BlendWeights(initial: Self.initialWeights())
        matchWeights = BlendWeights(initial: (0...MatchPredictor.longest).map { 65536 - 65536 / UInt32($0 / 2 + 2) })
        setContexts()
    }

    /// Works out the shares of the next byte.
    mutating func predict() {
        // What is left for the models below, of 2³⁰.
        var left: UInt64 = 1 << 30
        for byte in 0..<256 { shares[byte] = 0 }
        if let predicted = matched {
            let taken = (left * matchWeights[match.length]) >> 16
            shares[Int(predicted)] = UInt32(truncatingIfNeeded: taken)
            left -= taken
        }
        (knownOrder, confidence) = (0, 0)
        findContexts()
        for kind in active.reversed() {
            guard speaks[kind] else { continue }
            let context = found[kind]
            let (total, cell) = (counts.contexts[Int(context)].total, cells[kind])
            if knownOrder == 0, Self.orders[kind] > 0 {
                (knownOrder, confidence) = (Self.orders[kind], Self.bucket(Int(total)))
            }
            let taken = (left &* weights[cell]) &>> 16
            left &-= taken
            let factor = (taken &<< 16) / UInt64(total)
            var place = counts.contexts[Int(context)].first
            while place != ContextCounts.none {
                let follower = counts.followers[Int(place)]
                shares[Int(follower.symbol)] &+= UInt32(truncatingIfNeeded: (factor &* UInt64(follower.count)) &>> 16)
                place = follower.next
            }
        }
        let floor = UInt32(truncatingIfNeeded: left >> 8) + 1
        for byte in 0..<256 {
            shares[byte] &+= floor
            sums[256 + byte] = shares[byte]
        }
        for node in (1..<256).reversed() { sums[node] = sums[2 * node] &+ sums[2 * node + 1] }
    }

    /// Looks the contexts up. One that was seen only where a longer one was says nothing of its own.
    private mutating func findContexts() {
        var above: UInt16 = 0
        for kind in active.reversed() {
            let context = counts.find(hashes[kind])
            found[kind] = context
            speaks[kind] = context != ContextCounts.none
            guard speaks[kind] else { continue }
            let (total, distinct) = (counts.contexts[Int(context)].total, counts.contexts[Int(context)].distinct)
            cells[kind] = Self.cell(kind, total: Int(total), distinct: Int(distinct))
            guard Self.orders[kind] >= 0 else { continue }
            speaks[kind] = total != above
            above = total
        }
    }

    /// Learns the byte that came: weights from the bottom up, then counts.
    mutating func update(_ byte: UInt8) {
        var share: UInt64 = 1 << 24
        for kind in active {
            guard speaks[kind] else { continue }
            let context = found[kind]
            let count = UInt64(counts.count(of: byte, in: context))
            let upper = (count << 32) / UInt64(counts.contexts[Int(context)].total)
            share = weights.learn(cells[kind], upper: upper, lower: share)
        }
        if let predicted = matched {
            _ = matchWeights.learn(match.length, upper: predicted == byte ? 1 << 32 : 0, lower: share)
        }
        for kind in active {
            // A long context is worth a place once the one below it came back.
            if kind > 7, found[kind - 1] == ContextCounts.none { break }
            counts.learn(byte, in: found[kind], hash: hashes[kind])
        }
        counts.forgetIfFull()
        advance(byte)
    }

    private mutating func advance(_ byte: UInt8) {
        recent = recent << 8 | UInt64(byte)
        if layers.contains(.match) { match.update(byte) }
        switch byte {
        case 65...90, 97...122, 128...255:
            word = (word &+ UInt64(byte | 32)) &* 0x9E37_79B9_7F4A_7C15
        default:
            if word != 0 { wordBefore = word }
            word = 0
        }
        setContexts()
    }

    private mutating func setContexts() {
        for (kind, order) in Self.orders.enumerated() {
            let content =
                switch order {
                case -1: word
                case -2: word &+ wordBefore &* 0xD6E8_FEB8_6659_FD93
                case 8: recent
                default: recent & (1 << UInt64(8 * order) - 1)
                }
            hashes[kind] = Self.mixed(content, kind: UInt64(kind))
        }
    }

    private static func mixed(_ content: UInt64, kind: UInt64) -> UInt64 {
        var hash = (content ^ content >> 29) &* 0xBF58_476D_1CE4_E5B9 &+ (kind + 1) &* 0x94D0_49BB_1331_11EB
        hash = (hash ^ hash >> 32) &* 0xD6E8_FEB8_6659_FD93
        return hash ^ hash >> 32
    }

    /// 0…7 for 0, 1, 2, 3 or 4, 5…8, 9…16, 17…32, more.
    private static func bucket(_ total: Int) -> Int {
        total < 3 ? total : min(7, Int.bitWidth - (total - 1).leadingZeroBitCount + 1)
    }

    /// The class of a context: its kind, how often it was seen, and how many bytes followed it.
    @inline(__always)
    private static func cell(_ kind: Int, total: Int, distinct: Int) -> Int {
        let often = total < 4 ? total - 1 : min(9, Int.bitWidth - (total).leadingZeroBitCount)
        let many = distinct < 4 ? distinct - 1 : min(5, Int.bitWidth - (distinct).leadingZeroBitCount)
        return kind * bucketsForEachKind + often * 6 + many
    }

    /// As many trust a context at first as method C of PPM would: total / (total + distinct).
    private static func initialWeights() -> [UInt32] {
        (0..<kinds).flatMap { _ in
            (0..<10).flatMap { often in
                (0..<6).map { many in
                    let total = UInt32(often < 3 ? often + 1 : 1 << often)
                    let distinct = UInt32(many < 3 ? many + 1 : 1 << many)
                    return 65536 * total / (total + distinct)
                }
            }
        }
    }
}
