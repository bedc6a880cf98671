import PithTensor

/// Trains a `ByteNetwork` on a text before it is shipped: many streams side by side, one pass.
package struct ByteNetworkTraining {
    /// Streams side by side, each through a part of its own of the text.
    package var streams = 16
    /// Steps in a block.
    package var steps = 64
    /// How many bytes of the text are read in all.
    package var bytes: Int
    /// The highest learning rate.
    package var rate: Float = 0.003
    /// Of the first parameters.
    package var seed: UInt64 = 1

    /// A training over so many bytes.
    package init(bytes: Int) { self.bytes = bytes }

    /// Reads `text`; `report` gets the bytes read so far, the network and the probability of each byte of a block.
    package func run(
        _ shape: ByteNetworkShape, on text: [UInt8], report: (Int, ByteNetwork, Float) -> Void
    ) -> ByteNetwork {
        let network = ByteNetwork(
            shape, parameters: shape.initialParameters(seed: seed), steps: steps, streams: streams, rate: rate)
        network.keepSquare = 0.99
        let (rows, part) = (steps * streams, text.count / streams)
        let blocks = bytes / rows
        var (before, targets) = ([UInt8](repeating: 0, count: rows), [UInt8](repeating: 0, count: rows))
        for block in 0..<blocks {
            for step in 0..<steps {
                let place = (block * steps + step) % (part - 1)
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
            report((block + 1) * rows, network, loss / Float(rows) * 1.442_695)
        }
        return network
    }
}
