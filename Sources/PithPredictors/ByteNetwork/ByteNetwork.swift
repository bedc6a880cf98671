import CPithKernels
import PithCore
import PithTensor

/// A small recurrent network that predicts bytes and learns from them, a block of steps at a time.
///
/// x₀ = the embeddings of the last bytes, side by side; layer: (z, f, g) = norm(x) · W + b (x₀ enters the first as it
/// is); f ← σ(f + peephole ∘ c'); c = f ∘ c' + (1 − f) ∘ z with c' the state before; x ← x + c ∘ silu(g), at the first
/// layer x = c ∘ silu(g); logits = norm(x) · head + bias. The way back is cut at the block's begin; then Adam takes a
/// step, and the states are carried on. All of it is in a fixed order of operations: the same bits on all machines,
/// whether a block's steps run one by one or together.
package final class ByteNetwork {
    /// The sizes.
    package let shape: ByteNetworkShape
    /// Steps in a block.
    package let steps: Int
    /// How many streams run side by side, each with a state of its own.
    package let streams: Int
    /// The parameters.
    package let parameters: FloatBuffer
    /// Probabilities of [steps · streams, 256], valid for the steps that were run.
    package var probabilities: UnsafeMutablePointer<Float> { outputs.floats }
    /// The size of a step of Adam.
    package var rate: Float
    package var (keepMean, keepSquare): (Float, Float) = (0.9, 0.999)

    private let kernels: pith_stream_kernels
    // Shares the products among threads; without one the calling thread does all.
    private let pool: ThreadPool
    package let gradient: FloatBuffer
    private let mean: FloatBuffer
    private let square: FloatBuffer
    private var (meanPower, squarePower): (Float, Float) = (1, 1)
    // The bytes before each step, [taps - 1 + steps, streams].
    private var symbols: [UInt8]
    // [rows, taps · embedding], and its slopes.
    private let embedded: FloatBuffer
    private let embeddedSlopes: FloatBuffer
    // For each layer [rows, 3 · width] and [streams + rows, width].
    private let gates: [FloatBuffer]
    private let states: [FloatBuffer]
    // The stream behind each layer and what enters the next or the head, [rows, width] each, and the norms' factors.
    private let hidden: [FloatBuffer]
    private let normed: [FloatBuffer]
    private let scales: [FloatBuffer]
    private let outputs: FloatBuffer
    // Slopes by the stream and by what entered a layer, [rows, width].
    private let slopes: FloatBuffer
    private let entering: FloatBuffer
    private let carry: FloatBuffer

    /// A network with parameters of its own, which it changes.
    package init(
        _ shape: ByteNetworkShape, parameters: FloatBuffer, steps: Int, streams: Int = 1, rate: Float,
        pool: ThreadPool? = nil
    ) {
        precondition(shape.width % 16 == 0 && shape.embedding % 16 == 0 && parameters.count == shape.parameterCount)
        let (rows, width, inner) = (steps * streams, shape.width, shape.taps * shape.embedding)
        (self.shape, self.parameters, self.steps, self.streams, self.rate) = (shape, parameters, steps, streams, rate)
        self.pool = pool ?? ThreadPool(threads: 1)
        kernels = pith_stream_kernels_of(pith_path(UInt32(KernelPath.current.rawValue)))!.pointee
        gradient = FloatBuffer(shape.parameterCount)
        mean = FloatBuffer(shape.parameterCount)
        square = FloatBuffer(shape.parameterCount)
        symbols = Array(repeating: 0, count: (shape.taps - 1 + steps) * streams)
        embedded = FloatBuffer(rows * inner)
        embeddedSlopes = FloatBuffer(rows * inner)
        func each(_ count: Int) -> [FloatBuffer] { (0..<shape.layers).map { _ in FloatBuffer(count) } }
        gates = each(rows * 3 * width)
        states = each((streams + rows) * width)
        hidden = each(rows * width)
        normed = each(rows * width)
        scales = each(rows)
        outputs = FloatBuffer(rows * ByteNetworkShape.symbols)
        slopes = FloatBuffer(rows * width)
        entering = FloatBuffer(rows * width)
        carry = FloatBuffer(streams * width)
    }

    private func layerArrays(_ index: Int) -> pith_stream_layer {
        pith_stream_layer(
            width: Int64(shape.width), streams: Int64(streams), gates: gates[index].floats,
            states: states[index].floats, peephole: parameters.floats + shape.layer(index).peephole)
    }

    // MARK: Forward

    /// Runs steps `first..<first + count` of the block; `bytes` of [count, streams] are those right before each step.
    package func run(_ first: Int, _ count: Int, after bytes: ArraySlice<UInt8>) {
        let (rows, start, width) = (Int64(count * streams), first * streams, shape.width)
        symbols.replaceSubrange(
            (shape.taps - 1 + first) * streams..<(shape.taps - 1 + first + count) * streams, with: bytes)
        embed(start..<start + count * streams)
        let weights = parameters.floats
        for index in 0..<shape.layers {
            let (layer, x) = (shape.layer(index), hidden[index].floats)
            let source =
                index == 0 ? embedded.floats + start * layer.inner : normed[index - 1].floats + start * width
            multiply(
                source, weights + layer.weight, weights + layer.bias, rows, layer.inner, 3 * width,
                gates[index].floats + start * 3 * width)
            if index > 0 {
                (x + start * width).update(from: hidden[index - 1].floats + start * width, count: Int(rows) * width)
            }
            withUnsafePointer(to: layerArrays(index)) {
                kernels.scan($0, Int64(start), rows, index == 0 ? 1 : 0, x)
            }
            kernels.normalize(
                x + start * width, rows, Int64(width), normed[index].floats + start * width,
                scales[index].floats + start)
        }
        let output = outputs.floats + start * ByteNetworkShape.symbols
        multiply(
            normed[shape.layers - 1].floats + start * width, weights + shape.head, weights + shape.headBias, rows,
            width, ByteNetworkShape.symbols, output)
        kernels.softmax(output, rows)
    }

    private func embed(_ rows: Range<Int>) {
        let (width, taps) = (shape.embedding, shape.taps)
        for row in rows {
            for tap in 0..<taps {
                let byte = Int(symbols[row + (taps - 1 - tap) * streams])
                (embedded.floats + (row * taps + tap) * width).update(
                    from: parameters.floats + byte * width, count: width)
            }
        }
    }

    // MARK: Learning

    /// Learns that `bytes` of [count, streams] followed the first `count` steps, and begins the next block.
    package func learn(_ bytes: ArraySlice<UInt8>) {
        addGradient(bytes)
        meanPower *= keepMean
        squarePower *= keepSquare
        let step = pith_stream_adam(
            rate: rate / (1 - meanPower), keep_mean: keepMean, keep_square: keepSquare, spread: 1 / (1 - squarePower),
            epsilon: 1e-8)
        let count = shape.parameterCount
        pool.forEachBlock(
            of: count, grain: grain(count, 1 << 14), sharing: gradient.floats, parameters.floats, mean.floats,
            square.floats
        ) { [kernels] block, gradient, parameters, mean, square in
            let first = block.lowerBound
            withUnsafePointer(to: step) {
                kernels.adam(
                    $0, gradient + first, Int64(block.count), parameters + first, mean + first, square + first)
            }
        }
        carryOn(bytes.count / streams)
    }

    /// Makes the last of `count` steps those before the next block.
    private func carryOn(_ count: Int) {
        let size = streams * shape.width
        for state in states { state.floats.update(from: state.floats + count * size, count: size) }
        symbols.replaceSubrange(
            0..<(shape.taps - 1) * streams, with: symbols[count * streams..<(shape.taps - 1 + count) * streams])
    }

    /// Goes back over the steps that `bytes` followed: `gradient` is that of the sum of their losses, in nats.
    package func addGradient(_ bytes: ArraySlice<UInt8>) {
        let (rows, width, layers) = (bytes.count, shape.width, shape.layers)
        let (weights, gradients) = (parameters.floats, gradient.floats)
        let columns = ByteNetworkShape.symbols
        for (row, byte) in bytes.enumerated() { outputs.floats[row * ByteNetworkShape.symbols + Int(byte)] -= 1 }
        let last = normed[layers - 1].floats
        outer(last, outputs.floats, rows, width, columns, gradients + shape.head)
        kernels.sum_rows(outputs.floats, Int64(rows), Int64(columns), gradients + shape.headBias)
        multiplyBack(outputs.floats, weights + shape.head, rows, width, columns, entering.floats)
        slopes.floats.clear(rows * width)
        for index in (0..<layers).reversed() {
            let layer = shape.layer(index)
            kernels.normalize_back(
                entering.floats, hidden[index].floats, scales[index].floats, Int64(rows), Int64(width), slopes.floats)
            withUnsafePointer(to: layerArrays(index)) {
                kernels.scan_back($0, Int64(rows), slopes.floats, carry.floats, gradients + layer.peephole)
            }
            let gateSlopes = gates[index].floats
            outer(
                index == 0 ? embedded.floats : normed[index - 1].floats, gateSlopes, rows, layer.inner, 3 * width,
                gradients + layer.weight)
            kernels.sum_rows(gateSlopes, Int64(rows), Int64(3 * width), gradients + layer.bias)
            multiplyBack(
                gateSlopes, weights + layer.weight, rows, layer.inner, 3 * width,
                index == 0 ? embeddedSlopes.floats : entering.floats)
        }
        addEmbeddingGradient(rows)
    }

    private func addEmbeddingGradient(_ rows: Int) {
        let (width, taps) = (shape.embedding, shape.taps)
        gradient.floats.clear(ByteNetworkShape.symbols * width)
        for row in 0..<rows {
            for tap in 0..<taps {
                let target = gradient.floats + Int(symbols[row + (taps - 1 - tap) * streams]) * width
                let slope = embeddedSlopes.floats + (row * taps + tap) * width
                for i in stride(from: 0, to: width, by: 16) { target.add(slope.lanes(i), i) }
            }
        }
    }

    // MARK: Products

    private typealias Floats = UnsafeMutablePointer<Float>

    /// Calls of the kernels are cut for threads only where there are several.
    private func grain(_ count: Int, _ grain: Int = 64) -> Int { pool.threadCount == 1 ? count : grain }

    /// y = bias + x W: x of [rows, inner], W of [inner, columns].
    private func multiply(
        _ x: Floats, _ w: Floats, _ bias: Floats, _ rows: Int64, _ inner: Int, _ columns: Int, _ y: Floats
    ) {
        pool.forEachBlock(of: columns, grain: grain(columns), sharing: x, w, bias, y) {
            [kernels] block, x, w, bias, y in
            let first = block.lowerBound
            kernels.multiply(
                x, w + first, bias + first, rows, Int64(inner), Int64(block.count), Int64(columns), y + first)
        }
    }

    /// x = y Wᵀ: y of [rows, columns], W of [inner, columns].
    private func multiplyBack(
        _ y: Floats, _ w: Floats, _ rows: Int, _ inner: Int, _ columns: Int, _ x: Floats
    ) {
        pool.forEachBlock(of: inner, grain: grain(inner), sharing: x, y, w) { [kernels] block, x, y, w in
            let first = block.lowerBound
            kernels.multiply_back(
                y, w + first * columns, Int64(rows), Int64(block.count), Int64(columns), Int64(inner), x + first)
        }
    }

    /// W = xᵀ y: x of [rows, inner], y of [rows, columns].
    private func outer(
        _ x: Floats, _ y: Floats, _ rows: Int, _ inner: Int, _ columns: Int, _ w: Floats
    ) {
        pool.forEachBlock(of: inner, grain: grain(inner), sharing: x, y, w) { [kernels] block, x, y, w in
            let first = block.lowerBound
            kernels.outer(
                x + first, y, Int64(rows), Int64(block.count), Int64(columns), Int64(inner), w + first * columns)
        }
    }
}
