import PithCoding
import PithTensor

/// The sizes of a state-space model over bytes, and where each of its parameters lies.
package struct StateSpaceShape {
    /// The width of the residual stream, a multiple of 16.
    package var width: Int
    /// The number of layers.
    package var layers: Int

    /// A model of `layers` layers of a width.
    package init(width: Int, layers: Int) {
        self.width = width
        self.layers = layers
    }

    /// Channels inside of a layer.
    package var inner: Int { 2 * width }
    /// States of each channel.
    package let states = 16
    /// Taps of the convolution.
    package let taps = 4
    /// Symbols.
    package let symbols = 256

    /// Where the parameters of a layer lie.
    package struct Layer {
        /// [width]
        package var norm: Int
        /// [width, 2 · inner]: what goes into the convolution, and the gate.
        package var input: Int
        /// [taps, inner], the latest first, and [inner].
        package var convolution: Int
        package var convolutionBias: Int
        /// [inner, 2 · states]: B and C.
        package var selection: Int
        /// [inner]: the step before it is spread over the channels by [inner], and [inner].
        package var step: Int
        package var stepScale: Int
        package var stepBias: Int
        /// [states, inner]: ln(−A).
        package var decay: Int
        /// [inner]: D.
        package var skip: Int
        /// [inner, width]
        package var output: Int
    }

    /// [symbols, width]
    package var embedding: Int { 0 }
    /// [width, symbols]
    package var head: Int { symbols * width }
    /// [width]
    package var finalNorm: Int { 2 * symbols * width }
    /// Where layer `index` lies.
    package func layer(_ index: Int) -> Layer {
        let norm = finalNorm + width + index * layerSize
        let input = norm + width
        let convolution = input + 2 * width * inner
        let convolutionBias = convolution + taps * inner
        let selection = convolutionBias + inner
        let step = selection + 2 * states * inner
        let decay = step + 3 * inner
        let skip = decay + states * inner
        return Layer(
            norm: norm, input: input, convolution: convolution, convolutionBias: convolutionBias, selection: selection,
            step: step, stepScale: step + inner, stepBias: step + 2 * inner, decay: decay, skip: skip,
            output: skip + inner)
    }
    private var layerSize: Int { width + 3 * width * inner + inner * (taps + 1 + 2 * states + 3 + states + 1) }
    /// The number of parameters.
    package var parameterCount: Int { finalNorm + width + layers * layerSize }

    /// Seeded first parameters.
    package func initialParameters(seed: UInt64) -> FloatBuffer {
        let store = FloatBuffer(parameterCount)
        var random = SeededGenerator(seed: seed)
        func fill(_ place: Int, _ count: Int, within range: Float, around middle: Float = 0) {
            store.fill(place, count, within: range, around: middle, &random)
        }
        fill(embedding, symbols * width, within: 1)
        fill(head, symbols * width, within: 0.05)
        fill(finalNorm, width, within: 0, around: 1)
        for index in 0..<layers {
            let layer = layer(index)
            fill(layer.norm, width, within: 0, around: 1)
            fill(layer.input, 2 * width * inner, within: (3 / Float(width)).squareRoot())
            fill(layer.convolution, taps * inner, within: 0.5)
            fill(layer.selection, 2 * states * inner, within: (3 / Float(inner)).squareRoot())
            fill(layer.step, inner, within: (3 / Float(inner)).squareRoot())
            fill(layer.stepScale, inner, within: 0.5)
            // Steps of about 0.001 to 0.1: memories of ten to a thousand bytes, and a sixteenth of these.
            fill(layer.stepBias, inner, within: 2.3, around: -4.6)
            for state in 0..<states {
                fill(layer.decay + state * inner, inner, within: 0, around: logarithm(Float(state + 1)))
            }
            fill(layer.skip, inner, within: 0, around: 1)
            fill(layer.output, width * inner, within: (3 / Float(inner)).squareRoot() / Float(layers))
        }
        return store
    }
}
