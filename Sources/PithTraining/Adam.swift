import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019), over one block of parameters.
/// Matrices decay, vectors do not.
package final class Adam {
    /// How a step goes on from a gradient.
    package struct Options: Sendable {
        /// Decays of the moments.
        package var beta1 = 0.9, beta2 = 0.95
        /// Decoupled decay of matrices.
        package var weightDecay = 0.0

        /// Options.
        package init(beta1: Double = 0.9, beta2: Double = 0.95, weightDecay: Double = 0) {
            (self.beta1, self.beta2, self.weightDecay) = (beta1, beta2, weightDecay)
        }
    }

    let first: FloatBuffer
    let second: FloatBuffer
    private let chunks: [ParameterSet.Chunk]

    init(_ parameters: ParameterSet) {
        first = FloatBuffer(count: parameters.count)
        second = FloatBuffer(count: parameters.count)
        chunks = parameters.chunks
    }

    /// Moments of a vector of so many numbers, which does not decay.
    package convenience init(count: Int) {
        self.init(ParameterSet([ParameterSpec(name: "", shape: [count], kind: .vector, initial: .zeros)]))
    }

    /// One step of a vector along `gradient`; `step` counts from 1.
    package func update(
        _ vector: inout [Float], gradient: [Float], rate: Float, step: Int, _ options: Options
    ) {
        precondition(vector.count == gradient.count && vector.count <= first.count, "another vector")
        vector.withUnsafeMutableBufferPointer { vector in
            gradient.withUnsafeBufferPointer { gradient in
                guard let vector = vector.baseAddress, let gradient = gradient.baseAddress else { return }
                update(
                    vector, gradient: gradient, gradientScale: 1, rate: rate, step: step, options,
                    pool: ThreadPool(threads: 1))
            }
        }
    }

    /// One step along `gradientScale` times `gradient`; `step` counts from 1.
    func update(
        _ weights: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, gradientScale: Float, rate: Float,
        step: Int, _ options: Options, pool: ThreadPool
    ) {
        let correction1 = 1 / (1 - power(options.beta1, Double(step)))
        let correction2 = 1 / (1 - power(options.beta2, Double(step)))
        let (training, chunks) = (trainingKernels, chunks)
        pool.forEachBlock(
            of: chunks.count, grain: 1, sharing: gradient, weights, first.pointer, second.pointer
        ) { block, gradient, weights, first, second in
            for chunk in chunks[block] {
                var settings = pith_adamw(
                    rate: rate, decay: chunk.isMatrix ? Float(options.weightDecay) : 0, beta1: Float(options.beta1),
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
