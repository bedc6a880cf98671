import PithCore
import PithTensor

/// Adds up what the parts of a step found. The plain filler adds up the lanes of this process; one that works on
/// several machines adds up theirs as well.
protocol GradientReducer {
    /// Adds the gradients of all lanes into the first, in a fixed order, and returns the sum of their losses.
    func reduce(
        _ lanes: [FloatBuffer], losses: [Double], chunks: [ParameterSet.Chunk], pool: ThreadPool
    ) -> Double
}

/// Adds up lanes in their order.
struct LaneReducer: GradientReducer {
    func reduce(
        _ lanes: [FloatBuffer], losses: [Double], chunks: [ParameterSet.Chunk], pool: ThreadPool
    ) -> Double {
        let kernels = kernels
        let count = lanes.count > 1 ? chunks.count : 0
        pool.forEachBlock(of: count, grain: 1, sharing: lanes) { block, lanes in
            for chunk in chunks[block] {
                for other in lanes.dropFirst() {
                    kernels.add_scaled(
                        other.pointer + chunk.offset, 1, Int64(chunk.count), lanes[0].pointer + chunk.offset)
                }
            }
        }
        return losses.reduce(0, +)
    }
}
