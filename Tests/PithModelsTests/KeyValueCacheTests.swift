import CPithKernels
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

@Suite("Keys and values, and attention over them")
struct KeyValueCacheTests {
    /// Queries, keys and values of one layer, [positions, heads · headDimension].
    private struct Problem {
        let (heads, keyHeads, headDimension, positions): (Int, Int, Int, Int)
        let (queries, keys): ([Float], [Float])
        var values: [Float]
        var window: Int?
        var softcap: Float?

        init(heads: Int, keyHeads: Int, headDimension: Int, positions: Int) {
            (self.heads, self.keyHeads, self.headDimension, self.positions) = (
                heads, keyHeads, headDimension, positions
            )
            var generator = SeededGenerator(seed: 7)
            queries = generator.normalTensor([positions, heads * headDimension], scale: 2).values
            keys = generator.normalTensor([positions, keyHeads * headDimension]).values
            values = generator.normalTensor([positions, keyHeads * headDimension]).values
        }

        private var options: AttentionOptions {
            AttentionOptions(
                headCount: heads,
                cacheShape: CacheShape(headCount: keyHeads, headDimension: headDimension, window: window),
                cache: CacheID(index: 0), softcap: softcap)
        }

        private func shape(_ valueSize: Int) -> CacheShape {
            CacheShape(headCount: keyHeads, headDimension: headDimension, valueSize: valueSize, window: window)
        }

        func append(_ positions: Range<Int>, to cache: inout PlainKeyValueCache) {
            let (start, valueStart) = (
                positions.lowerBound * keyHeads * headDimension, positions.lowerBound * keyHeads * cache.shape.valueSize
            )
            keys.withUnsafeBufferPointer { keys in
                values.withUnsafeBufferPointer { values in
                    cache.append(
                        KeyValueRows(
                            keys: keys.baseAddress! + start, values: values.baseAddress! + valueStart,
                            positions: cache.count..<cache.count + positions.count))
                }
            }
        }

        /// Attention for the last `positions`, which the cache holds.
        func attend(
            _ positions: Range<Int>, _ cache: PlainKeyValueCache, threads: Int = 2,
            weights: AttentionRequest.WeightReader? = nil
        ) -> [Float] {
            let width = heads * cache.shape.valueSize
            var options = options
            (options.cacheShape, options.cacheShape.window) = (cache.shape, window)
            return [Float](unsafeUninitializedCapacity: positions.count * width) { output, count in
                queries.withUnsafeBufferPointer {
                    cache.attend(
                        AttentionRequest(
                            queries: $0.baseAddress! + positions.lowerBound * heads * headDimension,
                            positions: positions,
                            options, into: output.baseAddress!, weights: weights),
                        pool: ThreadPool(threads: threads))
                }
                count = positions.count * width
            }
        }

        /// All positions, read in pieces of `piece`.
        func attend(_ type: CacheType, piece: Int, threads: Int = 2) -> [Float] {
            attend(keys: type, values: type, valueSize: headDimension, piece: piece, threads: threads)
        }

        func attend(
            keys: CacheType, values: CacheType, valueSize: Int, piece: Int, threads: Int = 2
        ) -> [Float] {
            var cache = PlainKeyValueCache(shape: shape(valueSize), keys: keys, values: values)
            var result: [Float] = []
            for start in stride(from: 0, to: positions, by: piece) {
                let rows = start..<min(start + piece, positions)
                append(rows, to: &cache)
                result += attend(rows, cache, threads: threads)
            }
            return result
        }

        /// Attention of one query by its definition.
        func exact(_ position: Int, _ head: Int) -> [Double] {
            let (offset, width) = (head / (heads / keyHeads) * headDimension, keyHeads * headDimension)
            let first = window.map { max(0, position + 1 - $0) } ?? 0
            let scores = (first...position).map { other in
                let score =
                    (0..<headDimension).reduce(0.0) {
                        $0 + Double(queries[(position * heads + head) * headDimension + $1])
                            * Double(keys[other * width + offset + $1])
                    } / Double(headDimension).squareRoot()
                guard let softcap else { return score }
                let power = exponential(2 * score / Double(softcap))
                return Double(softcap) * (power - 1) / (power + 1)
            }
            let weights = scores.map { exponential($0 - scores.max()!) }
            let sum = weights.reduce(0, +)
            return (0..<headDimension).map { i in
                weights.indices.reduce(0.0) {
                    $0 + weights[$1] / sum * Double(values[(first + $1) * width + offset + i])
                }
            }
        }
    }

    @Test(arguments: [(9, 3, 64, 70), (4, 4, 32, 130), (8, 1, 6, 90), (2, 1, 80, 1100), (6, 2, 10, 65)])
    func attentionIsRight(heads: Int, keyHeads: Int, headDimension: Int, positions: Int) {
        let problem = Problem(heads: heads, keyHeads: keyHeads, headDimension: headDimension, positions: positions)
        for (type, tolerance) in [(CacheType.float32, 3e-6), (.float16, 5e-3), (.bfloat16, 4e-2)] {
            let results = problem.attend(type, piece: positions)
            for position in stride(from: positions - 1, through: 0, by: -positions / 5) {
                for head in 0..<heads {
                    let start = (position * heads + head) * headDimension
                    let worst =
                        zip(results[start..<start + headDimension], problem.exact(position, head))
                        .map { abs(Double($0) - $1) }.max() ?? .infinity
                    #expect(worst < tolerance, "\(type) \(position) \(head)")
                }
            }
        }
    }

    @Test(arguments: [nil, 1, 40, 64, 600] as [Int?])
    func windowsAndCapsAreRight(window: Int?) {
        var problem = Problem(heads: 6, keyHeads: 2, headDimension: 20, positions: 1100)
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
        var problem = Problem(heads: 6, keyHeads: 2, headDimension: 20, positions: 1100)
        problem.window = window
        let atOnce = problem.attend(type, piece: 1100, threads: 1)
        #expect(problem.attend(type, piece: 1100, threads: 3) == atOnce)
        for piece in [1, 7, 512, 600] { #expect(problem.attend(type, piece: piece) == atOnce, "\(piece)") }
        KernelPath.useEach { path in #expect(problem.attend(type, piece: 1100) == atOnce, "\(path)") }
    }

    @Test(arguments: CacheType.allCases)
    func copiesGoTheirOwnWays(type: CacheType) {
        let problem = Problem(heads: 2, keyHeads: 1, headDimension: 16, positions: 700)
        var store = PlainKeyValueCache(shape: CacheShape(headCount: 1, headDimension: 16), keys: type, values: type)
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
        let problem = Problem(heads: 2, keyHeads: 2, headDimension: 6, positions: 530)
        var store = PlainKeyValueCache(shape: CacheShape(headCount: 2, headDimension: 6), keys: type, values: type)
        problem.append(0..<530, to: &store)
        let saved = store.stored
        #expect(store.storedBits == saved.values.reduce(0) { $0 + $1.byteCount * 8 })
        var other = PlainKeyValueCache(shape: CacheShape(headCount: 2, headDimension: 6), keys: type, values: type)
        try other.restore(saved, position: 530)
        #expect(problem.attend(500..<530, other) == problem.attend(500..<530, store))
        #expect(try saved["keys"]?.decoded().values.count == 530 * 12)
        if type == .float32 { #expect(try saved["values"]?.decoded().values == problem.values) }
        var wrong = PlainKeyValueCache(shape: CacheShape(headCount: 1, headDimension: 6), keys: type, values: type)
        #expect(throws: PithError.self) { try wrong.restore(saved, position: 530) }
        #expect(throws: PithError.self) { try other.restore(saved, position: 529) }
    }

    /// Only what a window can show is kept; the results are those of a store that keeps all, also when saved between.
    @Test(arguments: [1, 100, 600]) func windowsKeepNoMoreThanTheyShow(window: Int) throws {
        var problem = Problem(heads: 2, keyHeads: 1, headDimension: 16, positions: 2000)
        problem.window = window
        var whole = PlainKeyValueCache(shape: CacheShape(headCount: 1, headDimension: 16))
        var store = PlainKeyValueCache(shape: CacheShape(headCount: 1, headDimension: 16, window: window))
        for start in stride(from: 0, to: 2000, by: 125) {
            let rows = start..<start + 125
            problem.append(rows, to: &whole)
            problem.append(rows, to: &store)
            #expect(problem.attend(rows, store) == problem.attend(rows, whole))
            var saved = PlainKeyValueCache(shape: CacheShape(headCount: 1, headDimension: 16, window: window))
            try saved.restore(store.stored, position: store.count)
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
        let shape = CacheShape(headCount: 1, headDimension: 2)
        var cache = PlainKeyValueCache(shape: shape)
        cache.append(KeyValueRows(keys: [1e6, -1e6], values: [1e6, -1e6], positions: 0..<1))
        var output: [Float] = [0, 0]
        let options = AttentionOptions(headCount: 1, cacheShape: shape, cache: CacheID(index: 0))
        output.withUnsafeMutableBufferPointer { output in
            [Float(1), 1].withUnsafeBufferPointer { queries in
                cache.attend(
                    AttentionRequest(
                        queries: queries.baseAddress!, positions: 0..<1, options, into: output.baseAddress!),
                    pool: ThreadPool(threads: 1))
            }
        }
        #expect(output == [65504, -65504])
    }

    /// Values of another width and type than keys give the same as the same columns of wide ones.
    @Test func keysAndValuesMayDiffer() {
        let problem = Problem(heads: 6, keyHeads: 2, headDimension: 20, positions: 700)
        let mixed = problem.attend(keys: .float32, values: .bfloat16, valueSize: 20, piece: 700)
        let exact = problem.attend(.float32, piece: 700)
        #expect(zip(mixed, exact).allSatisfy { abs($0 - $1) < 0.04 } && mixed != exact)
        for size in [7, 20, 33] {
            var wide = problem
            wide.values = (0..<700 * 2 * size).map { Float($0 % 17) - 8 }
            let atOnce = wide.attend(keys: .float16, values: .float32, valueSize: size, piece: 700)
            #expect(wide.attend(keys: .float16, values: .float32, valueSize: size, piece: 13) == atOnce)
            #expect(atOnce.count == 700 * 6 * size)
            // The first position sees its own values alone.
            #expect(Array(atOnce[..<size]) == Array(wide.values[..<size]))
        }
    }

    /// What the weights say is what the output is made of.
    @Test(arguments: [nil, 40] as [Int?]) func weightsAreGivenWhenAsked(window: Int?) {
        var problem = Problem(heads: 4, keyHeads: 2, headDimension: 10, positions: 600)
        (problem.window, problem.softcap) = (window, 2)
        var cache = PlainKeyValueCache(
            shape: CacheShape(headCount: 2, headDimension: 10, window: window), keys: .float32, values: .float32)
        problem.append(0..<590, to: &cache)
        problem.append(590..<600, to: &cache)
        var sums: [[Float]] = []
        let output = problem.attend(590..<600, cache) { row, head, weights in
            var sum = [Float](repeating: 0, count: 10)
            for (place, weight) in weights.enumerated() {
                let position = cache.count - weights.count + place
                for i in 0..<10 { sum[i] += weight * problem.values[position * 20 + head / 2 * 10 + i] }
            }
            #expect(sums.count == row * 4 + head && abs(weights.reduce(0, +) - 1) < 1e-5)
            sums.append(sum)
        }
        #expect(zip(sums.joined(), output).allSatisfy { abs($0 - $1) < 1e-5 } && output.count == 400)
    }
}

/// A way of keeping keys and values that is made up here: it keeps the first entries and the last, drops what lies
/// between, and notes what it is told. In the program it would be this file and one line in the catalogue.
private struct SinkCache: CacheMethod {
    static let last = MethodOption.integer("last", 8, in: 1...1024, "positions at the end that are kept")
    static let entry = MethodEntry(
        identifier: "sink", paper: Paper("Efficient Streaming Language Models with Attention Sinks", 2023),
        summary: "the first positions and the last", options: [last])

    let last: Int

    init(_ options: OptionValues) { last = options[Self.last] }

    func makeCache(_ shape: CacheShape) -> any KeyValueCache { SinkKeyValueCache(shape: shape, last: last) }
    func bitsPerPosition(_ shape: CacheShape) -> Int { 32 * shape.headCount * (shape.keySize + shape.valueSize) }
}

private struct SinkKeyValueCache: KeyValueCache {
    let shape: CacheShape
    let last: Int
    var positions: [Int] = []
    var rows: [Float] = []
    var stages: [ReadingStage] = []
    var unrotated: [Float] = []

    private static let first = 4
    private var width: Int { shape.headCount * (shape.keySize + shape.valueSize) }

    let wantsUnrotatedKeys = true
    var storedBits: Int { 32 * rows.count }

    mutating func append(_ new: KeyValueRows) {
        let (keys, values) = (shape.headCount * shape.keySize, shape.headCount * shape.valueSize)
        for (row, position) in new.positions.enumerated() {
            positions.append(position)
            rows += UnsafeBufferPointer(start: new.keys + row * keys, count: keys)
            rows += UnsafeBufferPointer(start: new.values + row * values, count: values)
            if let before = new.unrotatedKeys {
                unrotated += UnsafeBufferPointer(start: before + row * keys, count: keys)
            }
        }
    }

    mutating func attend(_ request: AttentionRequest, pool: ThreadPool) {
        let (heads, size) = (request.options.headCount, shape.keySize)
        let group = heads / shape.headCount
        for (row, position) in request.positions.enumerated() {
            for head in 0..<heads {
                let query = request.queries + (row * heads + head) * size
                let target = request.output + (row * heads + head) * shape.valueSize
                let seen = positions.indices.filter { positions[$0] <= position }
                let scores = seen.map { entry in
                    (0..<size).reduce(Float(0)) {
                        $0 + query[$1] * rows[entry * width + head / group * size + $1]
                    } * request.options.scale
                }
                let powers = scores.map { exponential($0 - scores.max()!) }
                let sum = powers.reduce(0, +)
                for i in 0..<shape.valueSize {
                    let place = shape.headCount * size + head / group * shape.valueSize + i
                    target[i] = zip(seen, powers).reduce(0) { $0 + $1.1 / sum * rows[$1.0 * width + place] }
                }
            }
        }
    }

    mutating func finish(_ stage: ReadingStage, _ request: AttentionRequest) {
        stages.append(stage)
        guard stage != .promptPart else { return }
        let kept = positions.indices.filter { $0 < Self.first || $0 >= positions.count - last }
        rows = kept.flatMap { rows[$0 * width..<($0 + 1) * width] }
        positions = kept.map { positions[$0] }
    }

    mutating func truncate(to count: Int) {
        let kept = positions.prefix { $0 < count }.count
        (positions, rows) = (Array(positions[..<kept]), Array(rows[..<(kept * width)]))
    }

    var stored: [String: StoredTensor] { [:] }
    mutating func restore(_ tensors: [String: StoredTensor], position: Int) throws(PithError) {}
}

@Suite("A cache of one's own")
struct OwnCacheTests {
    @Test func isToldWhatItNeeds() throws {
        var model = try openRandomModel("gemma3")
        let options = try OptionValues(Spec.Stage(name: "sink", options: [("last", "1000")]), for: SinkCache.entry)
        model.cache = SinkCache(options)
        let tokens = (0..<37).map { ($0 * 17 + 5) % 61 }
        var state = model.makeState()
        state.promptEnd = 36
        var last: [Float] = []
        for piece in [tokens[..<10], tokens[10..<36], tokens[36...]] {
            last = try model.nextLogits(Array(piece), state: &state)
        }
        let cache = try #require(state.caches[1] as? SinkKeyValueCache)
        #expect(cache.stages == [.promptPart, .promptEnd, .continuation])
        #expect(cache.positions == Array(0..<37))
        // Position 0 is not turned, all others are.
        let keys = cache.shape.headCount * cache.shape.keySize
        let held = cache.rows.count / cache.positions.count
        #expect(Array(cache.unrotated[..<keys]) == Array(cache.rows[..<keys]))
        #expect(Array(cache.unrotated[keys..<2 * keys]) != Array(cache.rows[held..<held + keys]))
        // A model without windows gives what it gives with the plain cache.
        var other = try openRandomModel("qwen3")
        var (own, plain) = ([Float](), [Float]())
        other.cache = PlainCache(.float32)
        var plainState = other.makeState()
        plain = try other.nextLogits(tokens, state: &plainState)
        other.cache = SinkCache(options)
        var ownState = other.makeState()
        own = try other.nextLogits(tokens, state: &ownState)
        #expect(zip(own, plain).allSatisfy { abs($0 - $1) < 1e-3 } && !last.isEmpty)
    }

    @Test func entriesMayBeDropped() throws {
        var model = try openRandomModel("qwen3")
        model.cache = SinkCache(try OptionValues(Spec.Stage(name: "sink"), for: SinkCache.entry))
        model.endTokens = []
        var batch = BatchedGeneration(model)
        batch.keepsEnded = true
        let id = try batch.add((0..<30).map { $0 * 2 }, options: SamplingOptions(temperature: 0), maximumCount: 5)
        while !batch.isEmpty { _ = try batch.step() }
        let state = try #require(batch.ended[id]).state
        #expect(state.position == 34)
        let cache = try #require(state.caches[0] as? SinkKeyValueCache)
        #expect(cache.positions == [0, 1, 2, 3] + Array(26..<34))
    }
}

@Suite("Sequences that were saved")
struct ReadSequenceTests {
    @Test(arguments: ["gemma3", "qwen2-windows", "gpt2"]) func goOnAsIfNothingHadBeen(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            var model = try openRandomModel(name)
            model.endTokens = []
            let source = try ModelSource(GoldenModels.path(name))
            let fingerprint = try ModelFingerprint(source, pool: ThreadPool(threads: 1))
            let options = try SamplingOptions(temperature: 0)
            let prompt = (0..<21).map { ($0 * 7 + 3) % 61 }
            var whole = try GeneratedTokens(model, after: prompt, options: options, maximumCount: 20)
            let expected = try whole.rest()
            var first = try GeneratedTokens(model, after: prompt, options: options, maximumCount: 8)
            let beginning = try first.rest()
            let path = joinPath(folder, "state.safetensors")
            try #require(first.sequence).write(to: path, cache: model.cache, model: fingerprint)
            let saved = try ReadSequence(contentsOf: path, for: model, fingerprint)
            #expect(saved.tokens == prompt + beginning && saved.state.position == 28)
            var second = try GeneratedTokens(model, after: [], beginning: saved, options: options, maximumCount: 12)
            #expect(try beginning + second.rest() == expected)
            // Another model, another way of keeping, and what is no state are refused.
            let other = try ModelFingerprint(ModelSource(GoldenModels.path("qwen3")), pool: ThreadPool(threads: 1))
            #expect(throws: PithError.self) { try ReadSequence(contentsOf: path, for: model, other) }
            let weights = joinPath(source.path, "model.safetensors")
            #expect(throws: PithError.self) { try ReadSequence(contentsOf: weights, for: model, fingerprint) }
            model.cache = SinkCache(try OptionValues(Spec.Stage(name: "sink"), for: SinkCache.entry))
            #expect(throws: PithError.self) { try ReadSequence(contentsOf: path, for: model, fingerprint) }
        }
    }
}
