import PithTensor

/// Trains a `ByteNetwork` on a text before it is shipped: many streams side by side, one pass.
package struct ByteNetworkTraining {
    /// Streams side by side, each through a part of its own of the text.
    package var streams = 6
    /// Steps in a block.
    package var steps = 48
    /// How many bytes of the text the learning rate falls over.
    package var bytes: Int
    /// After how many bytes it ends.
    package var stop: Int
    /// How many bytes of the text are left out at the beginning, shared by all streams.
    package var skip = 0
    /// The highest learning rate.
    package var rate: Float = 0.002
    /// Of the first parameters.
    package var seed: UInt64 = 1

    /// A training over so many bytes, or a part of it.
    package init(bytes: Int, stop: Int? = nil) { (self.bytes, self.stop) = (bytes, min(stop ?? bytes, bytes)) }

    /// Whether a text of so many bytes is long enough.
    package func fits(_ count: Int) -> Bool { count / streams > 1 }

    /// Reads `text`, from its beginning again where it is too short, and trains new parameters or `given` ones; `report`
    /// gets the bytes read so far and what each byte of the last block cost, in bits.
    package func run(
        _ shape: ByteNetworkShape, from given: FloatBuffer? = nil, on text: [UInt8],
        report: (Int, Float) -> Void = { _, _ in }
    ) -> ByteNetwork {
        let network = ByteNetwork(
            shape, parameters: given ?? shape.initialParameters(seed: seed), steps: steps, streams: streams, rate: rate)
        network.keepSquare = 0.99
        let (rows, part) = (steps * streams, text.count / streams)
        let blocks = bytes / rows
        var (before, targets) = ([UInt8](repeating: 0, count: rows), [UInt8](repeating: 0, count: rows))
        for block in 0..<stop / rows {
            for step in 0..<steps {
                let place = (skip / streams + block * steps + step) % (part - 1)
                for stream in 0..<streams {
                    before[step * streams + stream] = text[stream * part + place]
                    targets[step * streams + stream] = text[stream * part + place + 1]
                }
            }
            network.run(0, steps, after: before[...])
            var loss: Float = 0
            for row in 0..<rows { loss -= logarithm(max(network.probabilities[row * 256 + Int(targets[row])], 1e-30)) }
            // Up over the first hundredth, then down in a line.
            let rise = Float(block + 1) / Float(max(blocks / 100, 1))
            network.rate = rate * min(rise, Float(blocks - block) / Float(blocks))
            network.learn(targets[...])
            report((block + 1) * rows, loss / Float(rows) * 1.442_695)
        }
        return network
    }
}
