import CPithKernels
import PithCore
import PithTensor

/// The symbols of an alphabet in the order of their bytes, so that those that begin alike lie together.
struct OrderedSymbols: Sendable {
    /// The symbols that have bytes; of those with equal bytes one.
    let symbols: [Int]
    /// By symbol the one among those with its bytes that stands in `symbols`, [vocabulary + 256].
    let representatives: [Int]
    // The bytes of place p are those from starts[p] to starts[p + 1].
    private let starts: [Int]
    private let bytes: [UInt8]
    // Where the places begin whose first byte is at least b, [257].
    private let firsts: [Int]

    init(_ alphabet: TokenAlphabet) {
        let escapes = alphabet.byteSymbols.filter { $0 >= alphabet.vocabularySize }
        let all = (Array(0..<alphabet.vocabularySize) + escapes).filter { alphabet.byteCount(of: $0) > 0 }
        let sorted = all.sorted { left, right in
            let (a, b) = (alphabet.bytes(of: left), alphabet.bytes(of: right))
            return a != b ? a.lexicographicallyPrecedes(b) : left > right
        }
        var (symbols, starts, bytes) = ([Int](), [0], [UInt8]())
        var representatives = Array(0..<alphabet.vocabularySize + 256)
        for symbol in sorted {
            let own = alphabet.bytes(of: symbol)
            if let last = symbols.last, own == alphabet.bytes(of: last) {
                representatives[symbol] = last
                continue
            }
            symbols.append(symbol)
            bytes += own
            starts.append(bytes.count)
        }
        var (firsts, place) = ([Int](), 0)
        for byte in 0...256 {
            while place < symbols.count, Int(bytes[starts[place]]) < byte { place += 1 }
            firsts.append(place)
        }
        (self.symbols, self.starts, self.bytes, self.firsts) = (symbols, starts, bytes, firsts)
        self.representatives = representatives
    }

    /// The length of the bytes of a place.
    @inline(__always)
    func byteCount(_ place: Int) -> Int { starts[place + 1] - starts[place] }

    /// The byte of a place at `depth`.
    @inline(__always)
    func byte(_ place: Int, at depth: Int) -> UInt8 { bytes[starts[place] + depth] }

    /// The first of some places, all longer than `depth` and alike up to there, whose byte at `depth` is at least
    /// `bound`; their end if there is none.
    @inline(__always)
    func split(_ places: Range<Int>, depth: Int, bound: Int) -> Int {
        if depth == 0 { return min(max(firsts[bound], places.lowerBound), places.upperBound) }
        var (low, high) = (places.lowerBound, places.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if Int(bytes[starts[middle] + depth]) < bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The softmax of logits as whole numbers, added up in the order of symbols' bytes.
///
/// Exponentials are those of the kernels, which have the same bits everywhere; from there on all is exact.
struct TokenDistribution: Sendable {
    // sums[p] is the weight of all places before p.
    private var sums: [UInt64]
    private var exponentials: [Float]

    /// The weight of the likeliest symbol; all others have at least 1.
    private static let scale: Float = 16_777_216

    /// A distribution to be filled, of an alphabet with a vocabulary of so many tokens.
    init(placeCount: Int, vocabularySize: Int) {
        sums = [UInt64](repeating: 0, count: placeCount + 1)
        exponentials = [Float](repeating: 0, count: vocabularySize)
    }

    /// Takes up a row of logits, [rows, vocabulary]; those that are not finite are refused.
    mutating func fill(_ logits: Tensor, row: Int, _ ordered: OrderedSymbols) throws(PithError) {
        let (kernels, count) = (kernels, exponentials.count)
        let (largest, sum) = logits.values.withUnsafeBufferPointer { values in
            let logits = values.baseAddress! + row * count
            let largest = kernels.maximum(logits, Int64(count))
            return (
                largest,
                exponentials.withUnsafeMutableBufferPointer {
                    kernels.exp_sum(logits, largest, Int64(count), $0.baseAddress!)
                }
            )
        }
        guard largest.isFinite, sum.isFinite, sum > 0 else {
            throw .data("logits are not finite", remedy: "predictions must be numbers")
        }
        var total: UInt64 = 0
        for (place, symbol) in ordered.symbols.enumerated() {
            // A symbol beyond the vocabulary is a byte that no token stands for.
            let weight = symbol < count ? UInt64(exponentials[symbol] * Self.scale) : 0
            total += weight + 1
            sums[place + 1] = total
        }
    }

    /// The weight of some places.
    @inline(__always)
    func weight(_ places: Range<Int>) -> UInt64 { sums[places.upperBound] - sums[places.lowerBound] }
}
