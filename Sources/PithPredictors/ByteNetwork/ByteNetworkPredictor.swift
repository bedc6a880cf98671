import PithCore
import PithTensor

/// A `ByteNetwork` as a predictor of bits.
///
/// The bytes that begin with the bits that are known are a range of all bytes, whose two halves say how likely the next
/// bit is. The network learns a block of bytes at a time; an encoder's network runs ahead on a thread of its own.
package struct ByteNetworkPredictor: ExternalPredictor {
    private let source: any ByteDistributions
    // sums[b] is the weight of all bytes before b, [257].
    private var sums: UnsafePointer<UInt32>
    private var bytes = 0..<256

    /// Bytes between steps of learning.
    static let blockLength = 32
    /// Shorter inputs are not worth a network.
    package static let shortestInput = 2048
    /// The size of the steps of learning.
    package static let rate: Float = 0.0005

    /// About how many bytes a predictor needs.
    package static func memory(_ shape: ByteNetworkShape) -> Int {
        shape.memory(rows: blockLength) + (KnownBytes.blocksAhead + 2) * blockLength * 257 * 4
    }

    /// A predictor for the encoder of `input`, with first weights.
    package init(encoding input: ArraySlice<UInt8>, _ weights: ByteNetworkWeights, pool: ThreadPool) {
        self.init(KnownBytes(Array(input), weights, ahead: pool.threadCount > 1))
    }

    /// A predictor for the decoder of what stands behind `known`, with first weights.
    package init(decodingBehind known: ArraySlice<UInt8>, _ weights: ByteNetworkWeights, pool: ThreadPool) {
        self.init(UnknownBytes(Array(known), weights, pool))
    }

    private init(_ source: any ByteDistributions) {
        self.source = source
        sums = source.next(after: 0)
    }

    /// A network that learns without momentum: what a stream is like now counts, and each step is one block's.
    fileprivate static func network(_ weights: ByteNetworkWeights, pool: ThreadPool? = nil) -> ByteNetwork {
        let network = ByteNetwork(
            weights.shape, parameters: weights.parameters(), steps: blockLength, rate: rate, pool: pool)
        (network.keepMean, network.keepSquare) = (0, 0.9998)
        return network
    }

    package var prediction: ExternalPrediction {
        mutating get {
            let middle = bytes.lowerBound + bytes.count / 2
            let all = sums[bytes.upperBound] - sums[bytes.lowerBound]
            let known = bytes.count == 256 ? 0 : bytes.count >= 64 ? 1 : bytes.count >= 16 ? 2 : 3
            return ExternalPrediction(
                part: UInt64(sums[bytes.upperBound] - sums[middle]), of: UInt64(all), known: known)
        }
    }

    package mutating func update(_ bit: Bool) {
        let middle = bytes.lowerBound + bytes.count / 2
        bytes = bit ? middle..<bytes.upperBound : bytes.lowerBound..<middle
    }

    package mutating func finishByte(_ byte: UInt8) {
        bytes = 0..<256
        sums = source.next(after: byte)
    }
}

/// Gives for one byte after the other what a network expects, as whole numbers.
private protocol ByteDistributions: AnyObject {
    /// Sums of [257], valid up to the next call; `byte` is the one before, 0 at the beginning.
    func next(after byte: UInt8) -> UnsafePointer<UInt32>
}

/// Adds a row of probabilities, [256], up to [257] sums: a certain byte has a weight of 2²⁴, and each at least 1.
private func addUp(_ probabilities: UnsafePointer<Float>, _ sums: UnsafeMutablePointer<UInt32>) {
    var total: UInt32 = 0
    sums[0] = 0
    for symbol in 0..<256 {
        // Also false for what is no number.
        let share = probabilities[symbol] > 0 ? min(probabilities[symbol], 1) : 0
        total += UInt32(share * 16_777_216) + 1
        sums[symbol + 1] = total
    }
}

/// The decoder's: bytes that become known one by one, behind some that are known before and run a block at a time.
private final class UnknownBytes: ByteDistributions {
    private let network: ByteNetwork
    private let sums = UnsafeMutablePointer<UInt32>.allocate(capacity: 257)
    private let known: [UInt8]
    private var block: [UInt8] = []
    private var step = -1
    // Bytes before the present block, and the steps of it that were run.
    private var blockStart = 0
    private var ready = 0

    init(_ known: [UInt8], _ weights: ByteNetworkWeights, _ pool: ThreadPool) {
        self.known = known
        network = ByteNetworkPredictor.network(weights, pool: pool)
    }

    deinit { sums.deallocate() }

    func next(after byte: UInt8) -> UnsafePointer<UInt32> {
        if step >= 0 { block.append(byte) }
        step += 1
        if step == network.steps {
            network.learn(block[...])
            block.removeAll(keepingCapacity: true)
            blockStart += step
            (step, ready) = (0, 0)
        }
        if step == ready {
            let ahead = known[min(blockStart + step, known.count)...].prefix(network.steps - 1 - step)
            network.run(step, 1 + ahead.count, after: [byte] + ahead)
            ready += 1 + ahead.count
        }
        addUp(network.probabilities + step * 256, sums)
        return UnsafePointer(sums)
    }
}

/// The encoder's: a whole block is run at a time, and some blocks ahead of the one that is asked for.
private final class KnownBytes: ByteDistributions {
    private let blocks: RunAhead<[UInt32]>
    private let sums: UnsafeMutablePointer<UInt32>
    private var place = 0

    static let blocksAhead = 16

    init(_ input: [UInt8], _ weights: ByteNetworkWeights, ahead: Bool) {
        let length = ByteNetworkPredictor.blockLength
        sums = .allocate(capacity: length * 257)
        // Behind the last byte nothing is expected.
        for index in 0..<length * 257 { sums[index] = UInt32(index % 257) }
        let network = ByteNetworkPredictor.network(weights)
        var start = 0
        blocks = RunAhead(limit: ahead ? Self.blocksAhead : 0) {
            let end = min(start + length, input.count)
            guard start < end else { return nil }
            defer { start = end }
            network.run(0, end - start, after: start == 0 ? [0] + input[..<(end - 1)] : input[(start - 1)..<(end - 1)])
            var sums = [UInt32](repeating: 0, count: (end - start) * 257)
            sums.withUnsafeMutableBufferPointer { sums in
                for row in 0..<end - start { addUp(network.probabilities + row * 256, sums.baseAddress! + row * 257) }
            }
            if end < input.count { network.learn(input[start..<end]) }
            return sums
        }
    }

    deinit { sums.deallocate() }

    func next(after byte: UInt8) -> UnsafePointer<UInt32> {
        let row = place % ByteNetworkPredictor.blockLength
        place += 1
        if row == 0, let block = blocks.next() {
            block.withUnsafeBufferPointer { sums.update(from: $0.baseAddress!, count: $0.count) }
        }
        return UnsafePointer(sums + row * 257)
    }
}
