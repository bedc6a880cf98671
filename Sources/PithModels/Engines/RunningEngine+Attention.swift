import CPithKernels
import PithCore
import PithTensor

extension RunningEngine {
    mutating func attend(queries: Value, keys: Value, values: Value, _ options: AttentionOptions) -> Value {
        // A cache of 16 bits and the softmax would hide what is not finite.
        for x in [queries, keys, values] { look(at: x) }
        let index = options.cache.index
        let unrotated = states.contains { $0.caches[index].wantsUnrotatedKeys } ? copy(keys) : nil
        if let rotary = options.rotary { for x in [queries, keys] { rotate(x, rotary) } }
        observe(.queries, queries)
        observe(.keys, keys)
        observe(.values, values)
        let result = makeValue(rows: queries.rows, options.outputWidth)
        let (counts, pool) = (workspace.counts, pool)
        let starts = counts.reduce(into: [0]) { $0.append($0.last! + $1) }
        states.withUnsafeMutableBufferPointer { buffer in
            let states = buffer
            let attend = { (s: Int) in
                let (row, stage) = (starts[s], states[s].stage(reading: counts[s]))
                let positions = states[s].position..<states[s].position + counts[s]
                states[s].caches[index].append(
                    KeyValueRows(
                        keys: keys.pointer + row * keys.width,
                        unrotatedKeys: unrotated.map { UnsafePointer($0.pointer + row * $0.width) },
                        values: values.pointer + row * values.width, positions: positions))
                let request = AttentionRequest(
                    queries: queries.pointer + row * queries.width, positions: positions, options,
                    into: result.pointer + row * result.width)
                states[s].caches[index].attend(request, pool: pool)
                states[s].caches[index].finish(stage, request)
            }
            // A sequence with much to do gets all threads; those with little go side by side, a thread each.
            let work = states.indices.map { counts[$0] * (states[$0].position + counts[$0]) }
            let share = work.reduce(0, +) / (2 * pool.threadCount)
            for s in states.indices where work[s] > share { attend(s) }
            let small = states.indices.filter { work[$0] <= share }
            pool.forEachBlock(of: small.count, grain: 1, sharing: attend) { block, attend in
                for i in block { attend(small[i]) }
            }
        }
        return result
    }

    private func copy(_ x: Value) -> Value {
        let result = makeValue(rows: x.rows, x.width)
        result.pointer.update(from: x.pointer, count: x.rows * x.width)
        return result
    }

    /// Turns each head of x by the angles of its row's position, in place.
    private func rotate(_ x: Value, _ rotary: RotaryID) {
        let (kernels, table) = (kernels, model.rotaries[rotary.index])
        let (half, size) = (table.half, table.headDimension)
        let (cosines, sines) = workspace.angles(rotary)
        forEachRows(of: x, sharing: cosines, sines) { block, cosines, sines in
            for row in block {
                kernels.rotate(
                    x.pointer + row * x.width, Int64(x.width / size), Int64(size), Int64(half), cosines + row * half,
                    sines + row * half)
            }
        }
    }
}
