import PithTraining
import Testing

@Suite("Windows of the training text")
struct WindowSamplerTests {
    @Test("an epoch deals each window once, in another order than the next", arguments: [11, 12, 21, 95, 1000])
    func epochs(tokenCount: Int) {
        var sampler = WindowSampler(tokenCount: tokenCount, length: 10, seed: 4)
        let count = sampler.windowsPerEpoch
        let epochs = (0..<3).map { epoch in (0..<count).map { sampler.start(of: epoch * count + $0) } }
        for starts in epochs {
            let sorted = starts.sorted()
            #expect(sorted[0] >= 0 && sorted[count - 1] + 10 < tokenCount)
            #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $1 - $0 == 10 })
            // No more is left over than less than a window on either side.
            #expect(count * 10 > tokenCount - 1 - 20)
        }
        if count > 20 { #expect(epochs[0] != epochs[1] && epochs[0] != epochs[0].sorted()) }
    }

    @Test("which window is the n-th depends on the seed alone")
    func stateless() {
        var straight = WindowSampler(tokenCount: 500, length: 7, seed: 9)
        let starts = (0..<200).map { straight.start(of: $0) }
        var backwards = WindowSampler(tokenCount: 500, length: 7, seed: 9)
        #expect((0..<200).reversed().map { backwards.start(of: $0) } == starts.reversed())
        var other = WindowSampler(tokenCount: 500, length: 7, seed: 10)
        #expect((0..<200).map { other.start(of: $0) } != starts)
    }
}
