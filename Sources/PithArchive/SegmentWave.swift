import PithCore
import PithPredictors

/// What it takes to code or to decode a segment.
protocol SegmentLoad {
    /// Bytes of memory.
    func memory(_ context: CodingContext) throws(PithError) -> Int
    /// About how many nanoseconds on one thread.
    func time(_ context: CodingContext) throws(PithError) -> Int
}

/// Segments that are coded or decoded side by side: as many as there are threads for, and memory.
package struct SegmentWave {
    private let threadCount: Int
    private var memoryLeft: Int
    private var count = 0

    /// A wave of no segments yet.
    package init(_ context: CodingContext, memoryLimit: Int) {
        (threadCount, memoryLeft) = (context.pool.threadCount, memoryLimit)
    }

    /// Whether a segment that takes so much memory belongs to the wave. The first always does.
    package mutating func admits(_ memory: Int) -> Bool {
        guard count == 0 || count < threadCount && memory <= memoryLeft else { return false }
        count += 1
        memoryLeft = max(0, memoryLeft - memory)
        return true
    }
}

extension CodingContext {
    /// Segments in waves.
    func waves<Segment: SegmentLoad>(
        _ segments: [Segment], memoryLimit: Int
    ) throws(PithError) -> [ArraySlice<Segment>] {
        var (waves, start) = ([ArraySlice<Segment>](), 0)
        var wave = SegmentWave(self, memoryLimit: memoryLimit)
        for (place, segment) in segments.enumerated() {
            let memory = try segment.memory(self)
            guard !wave.admits(memory) else { continue }
            waves.append(segments[start..<place])
            start = place
            wave = SegmentWave(self, memoryLimit: memoryLimit)
            _ = wave.admits(memory)
        }
        return start == segments.count ? waves : waves + [segments[start...]]
    }

    /// About how many nanoseconds segments take: each wave as long as its longest.
    func time(_ segments: [some SegmentLoad], memoryLimit: Int) throws(PithError) -> Int {
        var time = 0
        for wave in try waves(segments, memoryLimit: memoryLimit) {
            var longest = 0
            for segment in wave { longest = max(longest, try segment.time(self)) }
            time = time &+ longest
        }
        return time
    }
}
