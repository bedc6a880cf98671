import PithTensor

/// Cuts a text into windows and deals them out in a random order, each once in an epoch.
///
/// The windows of an epoch begin at a random offset and are dealt by a random permutation, both drawn from the seed
/// and the epoch's number: which window is the n-th depends on nothing else, so that a resumed run needs no state.
package struct WindowSampler {
    private let tokenCount: Int
    private let length: Int
    private let seed: UInt64
    private var epoch = -1
    private var starts: [Int] = []

    /// A window has `length` tokens and the one after them.
    package init(tokenCount: Int, length: Int, seed: UInt64) {
        precondition(tokenCount > length, "too few tokens for a window")
        self.tokenCount = tokenCount
        self.length = length
        self.seed = seed
    }

    /// Windows in one epoch.
    package var windowsPerEpoch: Int { max(1, (tokenCount - length) / length) }

    /// Where the n-th window of the run begins.
    package mutating func start(of n: Int) -> Int {
        let (epoch, place) = n.quotientAndRemainder(dividingBy: windowsPerEpoch)
        if epoch != self.epoch { deal(epoch) }
        return starts[place]
    }

    private mutating func deal(_ epoch: Int) {
        self.epoch = epoch
        var generator = SeededGenerator(seed: seed &+ UInt64(epoch) &* 0x9E37_79B9_7F4A_7C15)
        let slack = tokenCount - 1 - windowsPerEpoch * length
        let offset = slack > 0 ? generator.index(below: min(slack, length - 1) + 1) : 0
        starts = (0..<windowsPerEpoch).map { offset + $0 * length }
        for i in stride(from: starts.count - 1, to: 0, by: -1) { starts.swapAt(i, generator.index(below: i + 1)) }
    }
}
