import Pith

/// What is measured in turns with others: a model of Pith's, or a file in another program.
struct Contestant {
    /// `pith`, or the name of the other program.
    let program: String
    /// The layout or the file's type.
    let layout: String
    /// All stored bits over all weights.
    let bitsPerWeight: Double
    /// What it has to do at least.
    let work: Work
    /// Measures once.
    let measure: () throws(PithError) -> Speeds

    /// A model of Pith's. It is run once at first, so that its pages are mapped and the cache's size is known.
    init(_ model: LanguageModel, _ layout: Layout, _ shape: Shape, prefill: Int, decode: Int) throws(PithError) {
        let cacheBytes = try model.write(decode).storedBits / 8
        _ = try model.secondsToRead(prefill)
        let work = Work(model, layout, prefill: prefill, decode: decode, cacheBytes: cacheBytes)
        program = "pith"
        self.layout = layout.name
        bitsPerWeight = Double(model.storedBits) / Double(model.weightCount)
        self.work = work
        measure = { () throws(PithError) in
            var (reading, writing) = (0.0, 0.0)
            for _ in 0..<shape.repeats {
                reading += try model.secondsToRead(prefill)
                writing += try seconds { () throws(PithError) in _ = try model.write(decode) }
            }
            return Speeds(
                prefill: Double(prefill * shape.repeats) / reading, decode: Double(decode * shape.repeats) / writing)
        }
    }

    /// Another program with a file of random weights.
    init(_ peer: Peer, _ file: String, _ type: GGUFType, _ shape: Shape, prefill: Int, decode: Int, threads: Int) {
        let work = Work(shape.configuration, type, prefill: prefill, decode: decode)
        program = peer.name
        layout = type.name
        bitsPerWeight = type.bitsPerWeight
        self.work = work
        measure = { () throws(PithError) in
            try peer.measure(file, work, threads: threads, repeats: shape.repeats)
        }
    }
}

extension LanguageModel {
    /// Any tokens do: the work does not depend on them.
    func anyTokens(_ count: Int) -> [Int] { (0..<count).map { ($0 * 31 + 7) % configuration.vocabularySize } }

    /// Reads a prompt of so many tokens at once, from an empty context.
    fileprivate func secondsToRead(_ count: Int) throws(PithError) -> Double {
        var state = makeState()
        let prompt = anyTokens(count)
        return try seconds { () throws(PithError) in _ = try nextLogits(prompt, state: &state) }
    }

    /// Writes so many tokens one after the other, from an empty context; the state after them.
    fileprivate func write(_ count: Int) throws(PithError) -> SequenceState {
        var state = makeState()
        for token in anyTokens(count) { _ = try nextLogits([token], state: &state) }
        return state
    }
}

/// How long something takes.
func seconds(_ body: () throws(PithError) -> Void) throws(PithError) -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try body()
    return (clock.now - start).seconds
}

/// The middle one of some values; of two middle ones the larger.
func median(_ values: [Double]) -> Double { values.isEmpty ? .nan : values.sorted()[values.count / 2] }
