import CPithKernels
import PithCore
import PithTensor

/// Rounds of Lloyd's method; errors hardly shrink after these.
private let rounds = 12

/// Learns up to 256 vectors for the chunks of a matrix by k-means: seeds as k-means++ draws them (Arthur and Vassilvitskii,
/// 2007), then Lloyd's method, errors weighed by the importance of columns and the squares of groups.
///
/// The result depends on `random` alone, not on the number of threads.
func learnCodebook(
    _ chunks: WeightChunks, entryCount: Int, _ random: inout SeededGenerator, pool: ThreadPool
) -> LearnedCodebook {
    var codebook = LearnedCodebook(
        entries: seedEntries(chunks, entryCount: entryCount, &random),
        codes: [UInt8](repeating: 0, count: chunks.rows * chunks.count))
    improve(&codebook, chunks, rounds: rounds, pool: pool)
    return codebook
}

/// Lloyd's method: chunks go to their nearest entries, and entries to the means of their chunks.
func improve(_ codebook: inout LearnedCodebook, _ chunks: WeightChunks, rounds: Int, pool: ThreadPool) {
    guard !codebook.codes.isEmpty else { return }
    for _ in 0..<rounds {
        assign(chunks, &codebook, pool: pool)
        moveEntries(chunks, &codebook, pool: pool)
    }
    assign(chunks, &codebook, pool: pool)
}

/// Chunks out of a sample, each drawn with a probability that grows with its distance from those drawn before.
private func seedEntries(
    _ chunks: WeightChunks, entryCount: Int, _ random: inout SeededGenerator
) -> [Float] {
    let (total, dimension) = (chunks.rows * chunks.count, chunks.dimension)
    var entries = [Float](repeating: 0, count: entryCount * dimension)
    guard total > 0 else { return entries }
    let sample = total <= 8192 ? Array(0..<total) : (0..<8192).map { _ in random.index(below: total) }
    var distances = [Float](repeating: .infinity, count: sample.count)
    // The first entry is zero: small weights are the most frequent.
    for entry in 0..<entryCount {
        if entry > 0 {
            let sum = distances.reduce(0) { $0 + Double($1) }
            guard sum > 0 else { break }
            var left = Double(random.uniform()) * sum
            var drawn = sample.count - 1
            for i in sample.indices {
                left -= Double(distances[i])
                if left < 0 {
                    drawn = i
                    break
                }
            }
            for i in 0..<dimension {
                entries[entry * dimension + i] = chunks.values[sample[drawn] * dimension + i]
            }
        }
        for (place, vector) in sample.enumerated() {
            var distance: Float = 0
            for i in 0..<dimension {
                let difference = chunks.values[vector * dimension + i] - entries[entry * dimension + i]
                distance += chunks.importance[vector % chunks.count * dimension + i] * difference * difference
            }
            distances[place] = min(distances[place], distance * chunks.squares[vector])
        }
    }
    return entries
}

/// Gives each chunk the code of its nearest entry.
private func assign(_ chunks: WeightChunks, _ codebook: inout LearnedCodebook, pool: ThreadPool) {
    let (dimension, entries) = (chunks.dimension, codebook.entries)
    let entryCount = entries.count / dimension
    let kernels = kernels
    chunks.values.withUnsafeBufferPointer { values in
        codebook.codes.withUnsafeMutableBufferPointer { codes in
            let (values, codes) = (values.baseAddress!, codes.baseAddress!)
            pool.forEachBlock(of: chunks.count, grain: 4, sharing: values, codes) { block, values, codes in
                for chunk in block {
                    // |x − e|² by columns' importance h is a constant, and Σ h·e² − Σ x·2h·e.
                    var factors = [Float](repeating: 0, count: 256 * dimension)
                    // Behind the last entry none is near.
                    var biases = [Float](repeating: 0, count: 256)
                    for entry in entryCount..<256 { biases[entry] = .infinity }
                    for i in 0..<dimension {
                        let importance = chunks.importance[chunk * dimension + i]
                        for entry in 0..<entryCount {
                            let value = entries[entry * dimension + i]
                            factors[i * 256 + entry] = 2 * importance * value
                            biases[entry] += importance * value * value
                        }
                    }
                    kernels.nearest(
                        values + chunk * dimension, Int64(chunks.rows), Int64(chunks.count * dimension),
                        Int64(dimension), factors, biases, codes + chunk, Int64(chunks.count))
                }
            }
        }
    }
}

/// Moves each entry to the mean of its chunks.
private func moveEntries(_ chunks: WeightChunks, _ codebook: inout LearnedCodebook, pool: ThreadPool) {
    let size = codebook.entries.count
    // Sums of the parts of the matrix, of sums of weights and of weighted values, always cut in the same way.
    let parts = min(16, chunks.rows)
    var sums = [Double](repeating: 0, count: parts * 2 * size)
    let codes = codebook.codes
    pool.forEachBlock(of: parts, grain: 1, writing: &sums, width: 2 * size) { block, sums in
        let part = block.lowerBound
        sums.withUnsafeMutableBufferPointer { sums in
            guard let sums = sums.baseAddress else { return }
            for row in part * chunks.rows / parts..<(part + 1) * chunks.rows / parts {
                addRow(row, chunks, codes, to: sums, size: size)
            }
        }
    }
    for i in 0..<size {
        let (mass, moment) = (0..<parts).reduce((0.0, 0.0)) {
            ($0.0 + sums[$1 * 2 * size + i], $0.1 + sums[($1 * 2 + 1) * size + i])
        }
        if mass > 0 { codebook.entries[i] = Float(moment / mass) }
    }
}

private func addRow(
    _ row: Int, _ chunks: WeightChunks, _ codes: [UInt8], to sums: UnsafeMutablePointer<Double>, size: Int
) {
    let (dimension, first) = (chunks.dimension, row * chunks.count)
    chunks.values.withUnsafeBufferPointer { values in
        chunks.importance.withUnsafeBufferPointer { importance in
            for chunk in 0..<chunks.count {
                let square = chunks.squares[first + chunk]
                let sums = sums + Int(codes[first + chunk]) * dimension
                for i in 0..<dimension {
                    let mass = Double(square * importance[chunk * dimension + i])
                    sums[i] += mass
                    sums[size + i] += mass * Double(values[(first + chunk) * dimension + i])
                }
            }
        }
    }
}
