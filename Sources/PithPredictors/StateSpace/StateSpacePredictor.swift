/// A small selective state-space model of bytes that learns the very stream it predicts.
///
/// Bytes are embedded, pass the layers, and give logits of the next byte. After each block of bytes the model goes back
/// over the block, truncated there, and takes a step of Adam; the state is carried on. All of it is Floats in a fixed
/// order of operations, so encoder and decoder agree on all machines.
package struct StateSpacePredictor {
    /// What can be chosen.
    package struct Configuration {
        var shape: StateSpaceShape
        var learningRate: Float
        var seed: UInt64
        /// Bytes between steps of Adam, a multiple of 4: how far the way back goes.
        var blockLength = 8

        /// A predictor of a shape, with weights drawn from the seed.
        package init(shape: StateSpaceShape, learningRate: Float, seed: UInt64, blockLength: Int = 8) {
            self.shape = shape
            self.learningRate = learningRate
            self.seed = seed
            self.blockLength = blockLength
        }

        /// About how many bytes the values of a block need.
        var memoryOfBlocks: Int { 4 * blockLength * (shape.layers * shape.inner * (2 * shape.states + 10) + 1024) }
    }

    /// ln of unnormalised probabilities of the next byte, of [256].
    package var logits: UnsafeMutablePointer<Float> { logitStore.floats }
    /// Probabilities of the next byte, of [256].
    package var probabilities: UnsafeMutablePointer<Float> { probabilityStore.floats + step * shape.symbols }
    /// The entropy of these, in nats.
    private(set) var entropy: Float = 0

    private let shape: StateSpaceShape
    private let configuration: Configuration
    package let parameters: FloatBuffer
    package let gradient: FloatBuffer
    private var moments: AdaptiveMoments
    private let blocks: [StateSpaceBlock]
    // The stream before each layer and behind the last: [layers + 1, blockLength, width].
    private let streams: FloatBuffer
    // [blockLength, width] and the norm's factors.
    private let normed: FloatBuffer
    private let scales: FloatBuffer
    private let slopes: FloatBuffer
    private let logitStore: FloatBuffer
    // [blockLength, symbols]
    private let probabilityStore: FloatBuffer
    private var inputs: [UInt8]
    private var step = 0
    private var updates: Float = 0

    /// A model that has seen nothing; `parameters` are seeded ones if none are given.
    package init(_ configuration: Configuration, parameters given: FloatBuffer? = nil) {
        let (shape, length) = (configuration.shape, configuration.blockLength)
        precondition(length % 4 == 0 && shape.width % 16 == 0, "blocks of \(length), width \(shape.width)")
        (self.configuration, self.shape) = (configuration, shape)
        parameters = given ?? shape.initialParameters(seed: configuration.seed)
        gradient = FloatBuffer((shape.parameterCount + 15) / 16 * 16)
        moments = AdaptiveMoments(count: shape.parameterCount, rate: configuration.learningRate)
        blocks = (0..<shape.layers).map { StateSpaceBlock(shape, layer: $0, steps: length) }
        streams = FloatBuffer((shape.layers + 1) * length * shape.width)
        normed = FloatBuffer(length * shape.width)
        scales = FloatBuffer(length)
        slopes = FloatBuffer(length * shape.width)
        logitStore = FloatBuffer(shape.symbols)
        probabilityStore = FloatBuffer(length * shape.symbols)
        inputs = Array(repeating: 0, count: length)
        for block in blocks { block.refresh(parameters.floats) }
    }

    /// Learns that `byte` was what the last prediction was about.
    package mutating func learn(_ byte: UInt8) {
        observe(byte)
        guard step == configuration.blockLength else { return }
        goBack()
        takeStep()
        for block in blocks { block.carry() }
        step = 0
    }

    /// The probabilities of the last prediction become the slope of its loss by its logits.
    package mutating func observe(_ byte: UInt8) {
        probabilities[Int(byte)] -= 1
        step += 1
    }

    /// Runs the model one step on: predicts the byte behind `byte`. A prediction must be learnt from before the next.
    package mutating func predict(after byte: UInt8) {
        let (width, length) = (shape.width, configuration.blockLength)
        inputs[step] = byte
        let first = streams.floats + step * width
        first.update(from: parameters.floats + shape.embedding + Int(byte) * width, count: width)
        for (index, block) in blocks.enumerated() {
            let from = first + index * length * width
            let to = from + length * width
            to.update(from: from, count: width)
            block.forward(step, to, parameters.floats)
        }
        let last = first + shape.layers * length * width
        let out = normed.floats + step * width
        scales.floats[step] = normalize(last, parameters.floats + shape.finalNorm, width, into: out)
        multiply(out, parameters.floats + shape.head, rows: width, columns: shape.symbols, into: logits)
        entropy = softmax(logits, shape.symbols, into: probabilities)
    }

    /// Back over the block: adds the gradient of its loss, in nats.
    package func goBack() {
        let (width, length) = (shape.width, configuration.blockLength)
        for t in 0..<length {
            let slope = probabilityStore.floats + t * shape.symbols
            let (out, dStream) = (normed.floats + t * width, slopes.floats + t * width)
            addOuter(out, slope, rows: width, columns: shape.symbols, to: gradient.floats + shape.head)
            let dOut = logits  // no longer needed
            dOut.clear(width)
            multiplyBack(
                slope, parameters.floats + shape.head, rows: width, columns: shape.symbols, addingTo: dOut)
            dStream.clear(width)
            normalizeBack(
                dOut, streams.floats + (shape.layers * length + t) * width, parameters.floats + shape.finalNorm,
                scale: scales.floats[t], width, gradient: gradient.floats + shape.finalNorm, addingTo: dStream)
        }
        for (index, block) in blocks.enumerated().reversed() {
            block.backward(
                length, slopes.floats, inputs: streams.floats + index * length * width, parameters.floats,
                gradient.floats)
        }
        for t in 0..<length {
            let row = gradient.floats + shape.embedding + Int(inputs[t]) * width
            for i in stride(from: 0, to: width, by: 16) { row.add((slopes.floats + t * width).lanes(i), i) }
        }
    }

    /// A step of Adam.
    private mutating func takeStep() {
        updates += 1
        // Slower as more was seen: as the root of the blocks, from the thousandth on.
        let slow = 1 / (1 + updates / Self.half).squareRoot()
        moments.step(parameters.floats, gradient.floats, limit: Self.longestGradient, slow: slow)
        for block in blocks { block.refresh(parameters.floats) }
    }

    private static let half: Float = 4000
    private static let longestGradient: Float = 16
}

/// Probabilities of [count] logits; gives their entropy in nats.
@inline(__always)
func softmax(_ logits: UnsafeMutablePointer<Float>, _ count: Int, into result: UnsafeMutablePointer<Float>) -> Float {
    var top = logits.lanes(0)
    for i in stride(from: 16, to: count, by: 16) { top = pointwiseMax(top, logits.lanes(i)) }
    let largest = top.max()
    var (sum, weighted) = (Lanes(), Lanes())
    for i in stride(from: 0, to: count, by: 16) {
        let shifted = logits.lanes(i) - largest
        let power = exponential(shifted)
        result.store(power, i)
        sum += power
        weighted += power * shifted
    }
    let total = laneSum(sum)
    let factor = 1 / total
    for i in stride(from: 0, to: count, by: 16) { result.store(result.lanes(i) * factor, i) }
    return logarithm(total) - laneSum(weighted) * factor
}
