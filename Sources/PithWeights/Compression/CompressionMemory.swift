import PithCore
import PithModels
import PithTensor

/// How the work on a layer is cut, so that it fits into memory: results do not depend on it.
package struct LayerSchedule: Equatable {
    /// Sequences that run together.
    package var batchSize = 4
    /// Matrices that are compressed at the same time.
    package var matricesTogether: Int
    /// For each layer the matrices whose statistics are gathered together; the layer runs once for each list.
    package var gathers: [[[ParameterID]]]
}

/// What compressing takes of memory in each of its phases, in bytes, as it follows from sizes.
struct CompressionMemory {
    let compressor: ModelCompressor
    /// The model with nothing open.
    let model: LanguageModel
    let tokens: CalibrationTokens?
    /// Bytes of each matrix or table as it will be stored.
    let storedBytes: [ParameterID: Int]
    /// What BLAS works in, the heaps of threads, and pages at the edges of what is given back.
    private static func slack(threads: Int) -> Int { (32 + 20 * threads) << 20 }

    private var source: ModelSource { compressor.source }
    private var description: ModelDescription { compressor.source.description }

    /// What is there all the time.
    private var base: Int {
        let vectors = description.parameters.reduce(0) { $0 + ($1.kind == .vector ? 4 * $1.count : 0) }
        return compressor.memoryTaken.value + Self.slack(threads: compressor.pool.threadCount) + vectors + 8
            * (tokens?.rows ?? 0)
    }

    /// The most at any time.
    func peak(_ schedule: LayerSchedule) throws(PithError) -> Int {
        var peak = try max(tables(), embedding(schedule.batchSize))
        for layer in description.layers.indices {
            let stored = storedBytes(ofLayer: layer)
            var phases = [stored, stored + pass(schedule.batchSize)]
            for matrices in schedule.gathers[layer] {
                phases.append(try gathering(matrices, ofLayer: layer, schedule.batchSize))
                phases.append(try compressing(matrices, ofLayer: layer, schedule.matricesTogether))
            }
            peak = max(peak, phases.max() ?? 0)
        }
        return base + peak
    }

    /// Tables, one after the other: those that stay pass through some at a time.
    private func tables() throws(PithError) -> Int {
        var (done, most) = (0, 0)
        for id in description.tables {
            let shape = description[id].shape
            let open = try source.openBytes(of: id)
            guard let pipeline = try compressor.pipeline(for: id) else {
                most = max(most, open)
                continue
            }
            let seen = InputStatistics.memory(width: shape[1], gathering: pipeline.needs)
            most = max(most, done + open + seen + pipeline.memory(rows: shape[0], columns: shape[1]))
            done += storedBytes[id] ?? 0
        }
        return max(most, done)
    }

    private func embedding(_ batchSize: Int) throws(PithError) -> Int {
        guard tokens != nil else { return 0 }
        var open = 0
        for (index, spec) in description.parameters.enumerated() where spec.kind == .table {
            open += try source.openBytes(of: ParameterID(index))
        }
        return open + rows(batchSize) * 8 * description.streamWidth
    }

    /// The tokens of the longest batch.
    private func rows(_ batchSize: Int) -> Int { counts(batchSize).reduce(0, +) }

    private func counts(_ batchSize: Int) -> [Int] {
        guard let tokens, let first = tokens.batches(of: batchSize).first else { return [] }
        return tokens.sequences[first].map(\.count)
    }

    /// What a layer makes of a batch, with its hidden states before and behind it.
    private func pass(_ batchSize: Int) -> Int {
        guard tokens != nil else { return 0 }
        return model.memory(reading: counts(batchSize), layers: 1) + rows(batchSize) * 12 * description.streamWidth
    }

    private func openBytes(ofLayer layer: Int) throws(PithError) -> Int {
        var bytes = 0
        for id in description.layers[layer].parameters where description[id].kind != .vector {
            bytes += try source.openBytes(of: id)
        }
        return bytes
    }

    private func storedBytes(ofLayer layer: Int) -> Int {
        description.matrices(ofLayer: layer).reduce(0) { $0 + (storedBytes[$1] ?? 0) }
    }

    /// The sums of what some matrices read; those that read the same share them.
    private func statistics(_ matrices: [ParameterID], ofLayer layer: Int) -> Int {
        let chosen = Set(matrices)
        return description.inputs(ofLayer: layer).reduce(0) { sum, readers in
            guard let reader = readers.first(where: chosen.contains) else { return sum }
            let needs = compressor.needs(of: readers.filter(chosen.contains))
            return sum + InputStatistics.memory(width: description[reader].shape[1], gathering: needs)
        }
    }

    private func gathering(
        _ matrices: [ParameterID], ofLayer layer: Int, _ batchSize: Int
    ) throws(PithError) -> Int {
        guard tokens != nil else { return 0 }
        return try openBytes(ofLayer: layer) + storedBytes(ofLayer: layer) + pass(batchSize)
            + statistics(matrices, ofLayer: layer)
    }

    private func compressing(
        _ matrices: [ParameterID], ofLayer layer: Int, _ together: Int
    ) throws(PithError) -> Int {
        let largest = matrices.map { compressor.memory($0) }.sorted(by: >).prefix(together).reduce(0, +)
        return try openBytes(ofLayer: layer) + storedBytes(ofLayer: layer) + largest
            + statistics(matrices, ofLayer: layer)
    }
}

// MARK: Schedules

extension CompressionMemory {
    /// The fastest schedule that keeps the limit, and what it takes. Throws, with the least that would do, if there is
    /// none.
    func schedule(within limit: Int?) throws(PithError) -> (schedule: LayerSchedule, peak: Int) {
        let threads = compressor.pool.threadCount
        let together = Array(stride(from: threads, through: 1, by: -1))
        var least = Int.max
        // Running a layer once more for each group of its matrices costs most.
        for isCut in [false, true] {
            for matricesTogether in together {
                for batchSize in [4, 2, 1] {
                    let schedule = try LayerSchedule(
                        batchSize: batchSize, matricesTogether: matricesTogether,
                        gathers: gathers(isCut ? limit : nil, batchSize, matricesTogether))
                    let peak = try peak(schedule)
                    if peak <= limit ?? Int.max { return (schedule, peak) }
                    least = min(least, peak)
                }
            }
        }
        throw .usage(
            "\(compressor.plan) of this model needs at least \(ByteCount(least))", at: "--memory-limit",
            remedy: "\(ByteCount(limit ?? 0)) are allowed")
    }

    /// The matrices of each layer in as few lists as fit; all in one where there is no limit.
    private func gathers(
        _ limit: Int?, _ batchSize: Int, _ together: Int
    ) throws(PithError) -> [[[ParameterID]]] {
        try description.layers.indices.map { (layer) throws(PithError) in
            let matrices = description.matrices(ofLayer: layer)
            guard let limit, tokens != nil else { return [matrices] }
            var (lists, seen) = ([[ParameterID]](), Set<ParameterID>())
            let groups = description.inputs(ofLayer: layer).map { $0.filter(Set(matrices).contains) }
            for group in groups.map({ $0.filter { seen.insert($0).inserted } }) where !group.isEmpty {
                if let last = lists.last {
                    let joined = last + group
                    let most = try max(
                        gathering(joined, ofLayer: layer, batchSize), compressing(joined, ofLayer: layer, together))
                    if base + most <= limit {
                        lists[lists.count - 1] = joined
                        continue
                    }
                }
                lists.append(group)
            }
            let unread = matrices.filter { !seen.contains($0) }
            return unread.isEmpty ? lists : lists + [unread]
        }
    }
}
