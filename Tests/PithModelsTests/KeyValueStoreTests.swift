import CPithKernels
import PithCore
import PithModels
import PithTensor
import Testing

@Suite("Keys and values, and attention over them")
struct KeyValueStoreTests {
    /// Queries, keys and values of one layer, [positions, heads · headSize].
    private struct Problem {
        let (heads, keyHeads, headSize, positions): (Int, Int, Int, Int)
        let (queries, keys, values): ([Float], [Float], [Float])
        var window: Int?
        var softcap: Float?

        init(heads: Int, keyHeads: Int, headSize: Int, positions: Int) {
            (self.heads, self.keyHeads, self.headSize, self.positions) = (heads, keyHeads, headSize, positions)
            var generator = SeededGenerator(seed: 7)
            queries = generator.normalTensor([positions, heads * headSize], scale: 2).values
            keys = generator.normalTensor([positions, keyHeads * headSize]).values
            values = generator.normalTensor([positions, keyHeads * headSize]).values
        }

        private var options: AttentionOptions {
            AttentionOptions(
                headCount: heads, cacheShape: CacheShape(headCount: keyHeads, headSize: headSize, window: window),
                cache: CacheID(index: 0), softcap: softcap)
        }

        func append(_ positions: Range<Int>, to store: inout PlainKeyValueStore) {
            let start = positions.lowerBound * keyHeads * headSize
            keys.withUnsafeBufferPointer { keys in
                values.withUnsafeBufferPointer { values in
                    store.append(
                        keys: keys.baseAddress! + start, values: values.baseAddress! + start, rows: positions.count)
                }
            }
        }

        /// Attention for the last `positions`, which the store holds.
        func attend(_ positions: Range<Int>, _ store: PlainKeyValueStore, threads: Int = 2) -> [Float] {
            let width = heads * headSize
            return [Float](unsafeUninitializedCapacity: positions.count * width) { output, count in
                queries.withUnsafeBufferPointer {
                    store.attend(
                        $0.baseAddress! + positions.lowerBound * width, rows: positions.count, options,
                        into: output.baseAddress!, pool: ThreadPool(threads: threads))
                }
                count = positions.count * width
            }
        }

        /// All positions, read in pieces of `piece`.
        func attend(_ type: CacheType, piece: Int, threads: Int = 2) -> [Float] {
            var store = PlainKeyValueStore(
                shape: CacheShape(headCount: keyHeads, headSize: headSize, window: window), type: type)
            var result: [Float] = []
            for start in stride(from: 0, to: positions, by: piece) {
                let rows = start..<min(start + piece, positions)
                append(rows, to: &store)
                result += attend(rows, store, threads: threads)
            }
            return result
        }

        /// Attention of one query by its definition.
        func exact(_ position: Int, _ head: Int) -> [Double] {
            let (offset, width) = (head / (heads / keyHeads) * headSize, keyHeads * headSize)
            let first = window.map { max(0, position + 1 - $0) } ?? 0
            let scores = (first...position).map { other in
                let score =
                    (0..<headSize).reduce(0.0) {
                        $0 + Double(queries[(position * heads + head) * headSize + $1])
                            * Double(keys[other * width + offset + $1])
                    } / Double(headSize).squareRoot()
                guard let softcap else { return score }
                let power = exponential(2 * score / Double(softcap))
                return Double(softcap) * (power - 1) / (power + 1)
            }
            let weights = scores.map { exponential($0 - scores.max()!) }
            let sum = weights.reduce(0, +)
            return (0..<headSize).map { i in
                weights.indices.reduce(0.0) {
                    $0 + weights[$1] / sum * Double(values[(first + $1) * width + offset + i])
                }
            }
        }
    }

    @Test(arguments: [(9, 3, 64, 70), (4, 4, 32, 130), (8, 1, 6, 90), (2, 1, 80, 1100), (6, 2, 10, 65)])
    func attentionIsRight(heads: Int, keyHeads: Int, headSize: Int, positions: Int) {
        let problem = Problem(heads: heads, keyHeads: keyHeads, headSize: headSize, positions: positions)
        for (type, tolerance) in [(CacheType.float32, 3e-6), (.float16, 5e-3), (.bfloat16, 4e-2)] {
            let results = problem.attend(type, piece: positions)
            for position in stride(from: positions - 1, through: 0, by: -positions / 5) {
                for head in 0..<heads {
                    let start = (position * heads + head) * headSize
                    let worst =
                        zip(results[start..<start + headSize], problem.exact(position, head))
                        .map { abs(Double($0) - $1) }.max() ?? .infinity
                    #expect(worst < tolerance, "\(type) \(position) \(head)")
                }
            }
        }
    }

    @Test(arguments: [nil, 1, 40, 64, 600] as [Int?])
    func windowsAndCapsAreRight(window: Int?) {
        var problem = Problem(heads: 6, keyHeads: 2, headSize: 20, positions: 1100)
        (problem.window, problem.softcap) = (window, 1.5)
        let results = problem.attend(.float32, piece: 1100)
        for position in [0, 39, 40, 511, 512, 551, 552, 601, 1099] {
            for head in 0..<6 {
                let start = (position * 6 + head) * 20
                let worst =
                    zip(results[start..<start + 20], problem.exact(position, head)).map { abs(Double($0) - $1) }.max()
                #expect((worst ?? .infinity) < 3e-6, "\(position) \(head)")
            }
        }
    }

    @Test(arguments: CacheType.allCases, [nil, 100, 530])
    func theBitsDependOnNothingElse(type: CacheType, window: Int?) {
        // More than one segment, so that few rows are also divided by segments.
        var problem = Problem(heads: 6, keyHeads: 2, headSize: 20, positions: 1100)
        problem.window = window
        let atOnce = problem.attend(type, piece: 1100, threads: 1)
        #expect(problem.attend(type, piece: 1100, threads: 3) == atOnce)
        for piece in [1, 7, 512, 600] { #expect(problem.attend(type, piece: piece) == atOnce, "\(piece)") }
        KernelPath.useEach { path in #expect(problem.attend(type, piece: 1100) == atOnce, "\(path)") }
    }

    @Test(arguments: CacheType.allCases)
    func copiesGoTheirOwnWays(type: CacheType) {
        let problem = Problem(heads: 2, keyHeads: 1, headSize: 16, positions: 700)
        var store = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 16), type: type)
        problem.append(0..<600, to: &store)
        let before = problem.attend(590..<600, store)
        var fork = store
        problem.append(0..<100, to: &fork)
        #expect(fork.count == 700)
        #expect(problem.attend(590..<600, store) == before)
        // The fork shortened again is the store.
        fork.truncate(to: 600)
        #expect(problem.attend(590..<600, fork) == before)
        problem.append(600..<700, to: &fork)
        problem.append(600..<700, to: &store)
        #expect(problem.attend(600..<700, fork) == problem.attend(600..<700, store))
        store.truncate(to: 0)
        #expect(store.count == 0 && store.storedBits == 0)
    }

    @Test(arguments: CacheType.allCases)
    func whatWasSavedIsTakenUpAgain(type: CacheType) throws {
        let problem = Problem(heads: 2, keyHeads: 2, headSize: 6, positions: 530)
        var store = PlainKeyValueStore(shape: CacheShape(headCount: 2, headSize: 6), type: type)
        problem.append(0..<530, to: &store)
        let saved = store.stored
        #expect(store.storedBits == saved.values.reduce(0) { $0 + $1.byteCount * 8 })
        var other = PlainKeyValueStore(shape: CacheShape(headCount: 2, headSize: 6), type: type)
        try other.restore(saved)
        #expect(problem.attend(500..<530, other) == problem.attend(500..<530, store))
        #expect(try saved["keys"]?.decoded().values.count == 530 * 12)
        if type == .float32 { #expect(try saved["values"]?.decoded().values == problem.values) }
        var wrong = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 6), type: type)
        #expect(throws: PithError.self) { try wrong.restore(saved) }
    }

    /// Only what a window can show is kept; the results are those of a store that keeps all, also when saved between.
    @Test(arguments: [1, 100, 600]) func windowsKeepNoMoreThanTheyShow(window: Int) throws {
        var problem = Problem(heads: 2, keyHeads: 1, headSize: 16, positions: 2000)
        problem.window = window
        var whole = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 16))
        var store = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 16, window: window))
        for start in stride(from: 0, to: 2000, by: 125) {
            let rows = start..<start + 125
            problem.append(rows, to: &whole)
            problem.append(rows, to: &store)
            #expect(problem.attend(rows, store) == problem.attend(rows, whole))
            var saved = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 16, window: window))
            try saved.restore(store.stored)
            #expect(saved.count == store.count && problem.attend(rows, saved) == problem.attend(rows, whole))
            var shorter = store
            shorter.truncate(to: start)
            problem.append(rows, to: &shorter)
            #expect(problem.attend(rows, shorter) == problem.attend(rows, whole))
        }
        #expect(store.count == 2000 && store.storedBits < (window + 125 + 512) * 2 * 16 * 16)
        #expect(whole.storedBits == 2000 * 2 * 16 * 16)
    }

    @Test func largeElementsStayFinite() {
        var store = PlainKeyValueStore(shape: CacheShape(headCount: 1, headSize: 2), type: .float16)
        store.append(keys: [1e6, -1e6], values: [1e6, -1e6], rows: 1)
        var output: [Float] = [0, 0]
        let shape = CacheShape(headCount: 1, headSize: 2)
        store.attend(
            [1, 1], rows: 1, AttentionOptions(headCount: 1, cacheShape: shape, cache: CacheID(index: 0)),
            into: &output, pool: ThreadPool(threads: 1))
        #expect(output == [65504, -65504])
    }
}
