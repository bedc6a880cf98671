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

        init(heads: Int, keyHeads: Int, headSize: Int, positions: Int) {
            (self.heads, self.keyHeads, self.headSize, self.positions) = (heads, keyHeads, headSize, positions)
            var generator = SeededGenerator(seed: 7)
            queries = generator.normalTensor([positions, heads * headSize], scale: 2).values
            keys = generator.normalTensor([positions, keyHeads * headSize]).values
            values = generator.normalTensor([positions, keyHeads * headSize]).values
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
                        $0.baseAddress! + positions.lowerBound * width, queryHeads: heads, rows: positions.count,
                        into: output.baseAddress!, pool: ThreadPool(threads: threads))
                }
                count = positions.count * width
            }
        }

        /// All positions, read in pieces of `piece`.
        func attend(_ type: CacheType, piece: Int, threads: Int = 2) -> [Float] {
            var store = PlainKeyValueStore(headCount: keyHeads, headSize: headSize, type: type)
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
            let scores = (0...position).map { other in
                (0..<headSize).reduce(0.0) {
                    $0 + Double(queries[(position * heads + head) * headSize + $1])
                        * Double(keys[other * width + offset + $1])
                } / Double(headSize).squareRoot()
            }
            let weights = scores.map { exponential($0 - scores.max()!) }
            let sum = weights.reduce(0, +)
            return (0..<headSize).map { i in
                weights.indices.reduce(0.0) { $0 + weights[$1] / sum * Double(values[$1 * width + offset + i]) }
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

    @Test(arguments: CacheType.allCases)
    func theBitsDependOnNothingElse(type: CacheType) {
        // More than one segment, so that few rows are also divided by segments.
        let problem = Problem(heads: 6, keyHeads: 2, headSize: 20, positions: 1100)
        let atOnce = problem.attend(type, piece: 1100, threads: 1)
        #expect(problem.attend(type, piece: 1100, threads: 3) == atOnce)
        for piece in [1, 7, 512, 600] { #expect(problem.attend(type, piece: piece) == atOnce, "\(piece)") }
        let kernels = KernelPath.current
        defer { KernelPath.current = kernels }
        for path in KernelPath.allCases where path.isAvailable {
            KernelPath.current = path
            #expect(problem.attend(type, piece: 1100) == atOnce, "\(path)")
        }
    }

    @Test(arguments: CacheType.allCases)
    func copiesGoTheirOwnWays(type: CacheType) {
        let problem = Problem(heads: 2, keyHeads: 1, headSize: 16, positions: 700)
        var store = PlainKeyValueStore(headCount: 1, headSize: 16, type: type)
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
        var store = PlainKeyValueStore(headCount: 2, headSize: 6, type: type)
        problem.append(0..<530, to: &store)
        let saved = store.stored
        #expect(store.storedBits == saved.values.reduce(0) { $0 + $1.byteCount * 8 })
        var other = PlainKeyValueStore(headCount: 2, headSize: 6, type: type)
        try other.restore(saved)
        #expect(problem.attend(500..<530, other) == problem.attend(500..<530, store))
        #expect(try saved["keys"]?.decoded().values.count == 530 * 12)
        if type == .float32 { #expect(try saved["values"]?.decoded().values == problem.values) }
        var wrong = PlainKeyValueStore(headCount: 1, headSize: 6, type: type)
        #expect(throws: PithError.self) { try wrong.restore(saved) }
    }

    @Test func largeElementsStayFinite() {
        var store = PlainKeyValueStore(headCount: 1, headSize: 2, type: .float16)
        store.append(keys: [1e6, -1e6], values: [1e6, -1e6], rows: 1)
        var output: [Float] = [0, 0]
        store.attend([1, 1], queryHeads: 1, rows: 1, into: &output, pool: ThreadPool(threads: 1))
        #expect(output == [65504, -65504])
    }
}
