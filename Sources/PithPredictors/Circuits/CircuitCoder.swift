import PithCoding
import PithCore

extension HiddenChowLiuTree {
    /// Codes records with the model as it is; the bits of each record, by the model, are given to `note` if there is one.
    package func encode(_ records: Records, to encoder: inout RangeEncoder, note: ((Double) -> Void)? = nil) {
        let work = workspace()
        records.bytes.withUnsafeBufferPointer { bytes in
            for record in 0..<records.count {
                var port = EncodingPort(
                    bytes.baseAddress! + record * records.width, values, encoder, note == nil ? nil : InformationTally()
                )
                encoder = RangeEncoder()  // so that the port alone holds the bytes
                visit(work, &port)
                encoder = port.encoder
                if let tally = port.tally { note?(tally.bits) }
            }
        }
    }

    /// Appends `count` records to `output`, each when it is whole.
    package func decode(count: Int, from decoder: inout RangeDecoder, into output: inout [UInt8]) throws(PithError) {
        let work = workspace()
        var record = [UInt8](repeating: 0, count: tree.count)
        for _ in 0..<count {
            let before = decoder
            let result = record.withUnsafeMutableBufferPointer { place -> Result<RangeDecoder, PithError> in
                var port = DecodingPort(place.baseAddress!, before)
                do throws(PithError) {
                    try visit(work, &port)
                } catch {
                    return .failure(error)
                }
                return .success(port.decoder)
            }
            decoder = try result.get()
            output.append(contentsOf: record)
        }
    }
}

/// Models that grow with the records: encoder and decoder learn the same after each block, from it and, `replays` times
/// as often, from records before it.
struct AdaptiveCircuit {
    private var learner: CircuitLearner
    /// Records learnt so far, and where the next replay begins.
    private var (seen, replayed) = (0, 0)
    private let replays: Int
    private let seed: UInt64
    /// When so many records are seen, learning begins anew with all of them: states that a few records had to share
    /// would else never come apart.
    private var renewal = 32

    /// A model that knows nothing yet.
    init(_ model: HiddenChowLiuTree, replays: Int, seed: UInt64) {
        learner = CircuitLearner(model, seed: seed)
        (self.replays, self.seed) = (replays, seed)
    }

    /// The model for the next block.
    var model: HiddenChowLiuTree { learner.model }

    /// How many records are coded before the model moves on: few at first.
    var blockSize: Int { min(max(1, seen / 8), CircuitLearner.batchLimit) }

    /// Learns the block that follows those seen before; `records` are all up to and with it.
    mutating func learn(_ records: Records, _ pool: ThreadPool) {
        let block = records[seen..<records.count]
        seen = records.count
        guard seen < renewal else {
            renewal *= 4
            learner = HiddenChowLiuTree.train(learner.model, on: records, epochs: replays, seed: seed, pool)
            return
        }
        learner.note(block)
        learner.learn(block, population: seen, pool)
        for _ in 0..<replays {
            let end = min(replayed + block.count, seen)
            learner.learn(records[replayed..<end], population: seen, pool)
            replayed = end == seen ? 0 : end
        }
    }
}

extension AdaptiveCircuit {
    /// Codes all records.
    mutating func encode(
        _ records: Records, to encoder: inout RangeEncoder, _ pool: ThreadPool, note: ((Double) -> Void)? = nil,
        advance: (Int) -> Void = { _ in }
    ) {
        while seen < records.count {
            let end = min(seen + blockSize, records.count)
            model.encode(records[seen..<end], to: &encoder, note: note)
            advance((end - seen) * records.width)
            if end == records.count { break }  // nothing comes that it would help
            learn(records[0..<end], pool)
        }
    }

    /// Appends `count` records of `width` bytes to `output`.
    mutating func decode(
        count: Int, from decoder: inout RangeDecoder, into output: inout [UInt8], _ pool: ThreadPool,
        advance: (Int) -> Void = { _ in }
    ) throws(PithError) {
        let (start, width) = (output.count, model.tree.count)
        while seen < count {
            let block = min(blockSize, count - seen)
            try model.decode(count: block, from: &decoder, into: &output)
            advance(block * width)
            if seen + block == count { break }
            learn(Records(output[start...], width: width), pool)
        }
    }
}
