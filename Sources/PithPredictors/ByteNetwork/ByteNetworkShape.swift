import PithTensor

/// The sizes of a `ByteNetwork`, and where each of its parameters lies.
package struct ByteNetworkShape: Hashable, Sendable {
    /// How many of the last bytes enter the first layer.
    package var taps = 6
    /// The width of a byte's embedding, a multiple of 16.
    package var embedding = 32
    /// The width of the layers, a multiple of 16.
    package var width = 224
    /// The number of layers.
    package var layers = 3

    /// A network of these sizes.
    package init(taps: Int = 6, embedding: Int = 32, width: Int = 224, layers: Int = 3) {
        (self.taps, self.embedding, self.width, self.layers) = (taps, embedding, width, layers)
    }

    /// Those of the built-in weights, by number.
    package static let builtIn = [1: ByteNetworkShape(), 2: ByteNetworkShape(width: 320)]

    /// Symbols.
    package static let symbols = 256

    /// Where the parameters of a layer lie.
    package struct Layer {
        /// How many numbers enter.
        package var inner: Int
        /// [inner, 3 · width]: the candidates, the forget gates and the output gates.
        package var weight: Int
        /// [3 · width]
        package var bias: Int
        /// [width]
        package var peephole: Int
    }

    /// Where layer `index` lies; the embeddings, [symbols, embedding], stand before the first.
    package func layer(_ index: Int) -> Layer {
        let first = taps * embedding
        func size(_ inner: Int) -> Int { 3 * width * inner + 4 * width }
        let start = Self.symbols * embedding + (index > 0 ? size(first) + (index - 1) * size(width) : 0)
        let inner = index == 0 ? first : width
        return Layer(
            inner: inner, weight: start, bias: start + 3 * width * inner,
            peephole: start + 3 * width * inner + 3 * width)
    }
    /// [width, symbols]
    package var head: Int { layer(layers).weight }
    /// [symbols]
    package var headBias: Int { head + width * Self.symbols }
    /// The number of parameters.
    package var parameterCount: Int { headBias + Self.symbols }

    /// About how many bytes a network needs that goes back over `rows` rows.
    package func memory(rows: Int) -> Int {
        4 * (4 * parameterCount + rows * (layers * 7 * width + 3 * taps * embedding + 3 * width + 512))
    }

    /// Seeded first parameters.
    package func initialParameters(seed: UInt64) -> FloatBuffer {
        let store = FloatBuffer(parameterCount)
        var random = SeededGenerator(seed: seed)
        func fill(_ place: Int, _ count: Int, within range: Float, around middle: Float = 0) {
            store.fill(place, count, within: range, around: middle, &random)
        }
        fill(0, Self.symbols * embedding, within: 1)
        for index in 0..<layers {
            let layer = layer(index)
            fill(layer.weight, 3 * width * layer.inner, within: (3 / Float(layer.inner)).squareRoot())
            // Memories of one byte to some hundreds.
            fill(layer.bias + width, width, within: 3, around: 2)
        }
        fill(head, width * Self.symbols, within: 0.02)
        return store
    }
}
