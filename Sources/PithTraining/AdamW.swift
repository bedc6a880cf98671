import CPithKernels
import PithCore
import PithTensor

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), over the one block of parameters.
/// Matrices decay; the weights of norms do not.
final class AdamW {
    /// Consecutive floats of one parameter, a unit of parallel work.
    private struct Chunk {
        let offset: Int
        let count: Int
        let decays: Bool
    }

    let first: FloatBuffer
    let second: FloatBuffer
    private let chunks: [Chunk]

    init(_ parameters: ParameterSet) {
        first = FloatBuffer(count: parameters.count)
        second = FloatBuffer(count: parameters.count)
        let size = 1 << 16
        chunks = parameters.entries.flatMap { entry in
            stride(from: 0, to: entry.count, by: size).map { start in
                Chunk(offset: entry.offset + start, count: min(size, entry.count - start), decays: entry.isMatrix)
            }
        }
    }

    /// Adds the gradients of all lanes into the first, in their order, and returns the norm of the sum.
    func reduce(_ gradients: [FloatBuffer], pool: ThreadPool) -> Double {
        let (kernels, training, chunks) = (kernels, trainingKernels, chunks)
        let squares = pool.map(chunks.count, sharing: gradients) { index, gradients in
            let (offset, count) = (chunks[index].offset, Int64(chunks[index].count))
            let sum = gradients[0].pointer + offset
            for other in gradients.dropFirst() { kernels.add_scaled(other.pointer + offset, 1, count, sum) }
            return training.squared_sum(sum, count)
        }
        return squares.reduce(0, +).squareRoot()
    }

    /// One step along `gradient`; `step` counts from 1.
    func update(
        _ weights: FloatBuffer, gradient: FloatBuffer, gradientScale: Float, rate: Float, step: Int,
        _ options: TrainingConfiguration, pool: ThreadPool
    ) {
        let correction1 = 1 / (1 - power(options.beta1, Double(step)))
        let correction2 = 1 / (1 - power(options.beta2, Double(step)))
        let (training, chunks) = (trainingKernels, chunks)
        pool.forEachBlock(
            of: chunks.count, grain: 1, sharing: gradient.pointer, weights.pointer, first.pointer, second.pointer
        ) { block, gradient, weights, first, second in
            for chunk in chunks[block] {
                var settings = pith_adamw(
                    rate: rate, decay: chunk.decays ? Float(options.weightDecay) : 0, beta1: Float(options.beta1),
                    beta2: Float(options.beta2), correction1: Float(correction1), correction2: Float(correction2),
                    epsilon: 1e-8, gradient_scale: gradientScale)
                let offset = chunk.offset
                training.adamw(
                    &settings, gradient + offset, Int64(chunk.count), weights + offset, first + offset,
                    second + offset)
            }
        }
    }
}
