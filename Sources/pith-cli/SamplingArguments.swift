import ArgumentParser
import Pith

/// How tokens are chosen.
struct SamplingArguments: ParsableArguments {
    @Option(help: "0 always takes the most likely token; 1 samples from the model's distribution.")
    var temperature: Float = 0.8

    @Option(help: "Consider only so many of the most likely tokens; 0 for all.")
    var topK = 0

    @Option(help: "Consider only the most likely tokens that together have this probability.")
    var topP: Float = 1

    @Option(help: "Consider only tokens at least this share as likely as the most likely one.")
    var minP: Float = 0.05

    @Option(help: "Make tokens seen before less likely; 1 for no penalty.")
    var repetitionPenalty: Float = 1

    @Option(help: "The seed of all choices.")
    var seed: UInt64 = 0

    /// The options, their ranges checked.
    func options() throws(PithError) -> SamplingOptions {
        try SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP, repetitionPenalty: repetitionPenalty,
            seed: seed)
    }
}
