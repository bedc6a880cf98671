import ArgumentParser
import Foundation
import PithCore
import PithPredictors

/// `pith train-stream`: the first weights of the network that `mix` learns bytes with. For those who make Pith.
struct TrainStreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train-stream",
        abstract: "Train the first weights of the network that learns bytes as it codes them.", shouldDisplay: false)

    @Option(help: "The text to learn from.")
    var text: String

    @Option(name: [.long, .customShort("o")], help: "The file to write.")
    var out: String

    @Option(help: "Bytes of the text that the learning rate falls over.")
    var bytes: Int

    @Option(help: "Bytes after which to stop; all if not given.")
    var stop: Int?

    @Option(help: "Weights to go on from, a file of an earlier training.")
    var from: String?

    @Option(help: "Bytes of the text to leave out at the beginning.")
    var skip = 0

    @Option(help: "The highest learning rate.")
    var rate: Float = 0.002

    @Option(help: "The width of the layers of new weights, a multiple of 16.")
    var width: Int?

    func run() throws {
        guard width.map({ from == nil && (16...1024).contains($0) && $0 % 16 == 0 }) ?? true else {
            throw PithError.usage("--width is for new weights, a multiple of 16 up to 1024")
        }
        let content = try Files.bytes(text)
        let earlier = try from.map { try ByteNetworkWeights(Files.bytes($0)) }
        var training = ByteNetworkTraining(bytes: bytes, stop: stop)
        (training.skip, training.rate) = (skip, rate)
        guard training.fits(content.count) else {
            throw PithError.usage("a text of \(content.count) bytes is too short to learn from", at: text)
        }
        var (sum, blocks) = (Float(0), Float(0))
        let shape = earlier?.shape ?? width.map { ByteNetworkShape(width: $0) } ?? ByteNetworkShape()
        let network = training.run(shape, from: earlier?.parameters(), on: content) { done, bits in
            (sum, blocks) = (sum + bits, blocks + 1)
            guard blocks == 4096 else { return }
            PithCore.Progress.write("\(done) bytes: \(sum / blocks) bits a byte\n")
            (sum, blocks) = (0, 0)
        }
        try Data(ByteNetworkWeights.file(network.shape, network.parameters)).write(to: URL(fileURLWithPath: out))
    }
}
