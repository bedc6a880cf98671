import PithCore

/// Something that reads files which nobody need have written in good faith.
public struct Reader: Sendable {
    /// What became of an input.
    public enum Outcome: Sendable {
        /// It was read.
        case read
        /// It was refused.
        case refused(PithError)
    }

    /// The name, for command lines.
    public let name: String
    /// Whether inputs are text.
    public let isText: Bool
    /// Bytes that may be held beside those that the size of the input allows.
    public let slack: Int
    /// Inputs that are right, from which damage begins.
    public let seeds: @Sendable () throws -> [[UInt8]]
    let body: @Sendable ([UInt8], Scratch) throws(PithError) -> Void

    init(
        _ name: String, isText: Bool = false, slack: Int = 1 << 20, seeds: @escaping @Sendable () throws -> [[UInt8]],
        _ body: @escaping @Sendable ([UInt8], Scratch) throws(PithError) -> Void
    ) {
        (self.name, self.isText, self.slack, self.seeds, self.body) = (name, isText, slack, seeds, body)
    }

    /// All readers: one line for each.
    public static let all: [Reader] = [
        json, specs, programs, hubFiles,
        safetensors, tensorIndex, gguf, ggufModel, llama2C, rwkv,
        tokenizer, sentencePiece, expressions, chatTemplates, jinja,
        configurations, trainingConfigurations, generationSettings, sentenceModules,
        model, manifests, checkpoints, adapters,
        archives, payloads, tokenFiles, byteModels, tokenStreams,
        trainingState, compressionState, sequenceState,
    ]

    /// The reader of that name.
    public static func named(_ name: String) -> Reader? { all.first { $0.name == name } }

    /// Bytes that one allocation may have for an input of `count` bytes: twice the file, and what any program takes.
    public func largestAllocation(for count: Int) -> Int { 2 * count + slack }

    /// Bytes that all allocations may hold at once: trees of small values take some times their text.
    public func mostHeld(for count: Int) -> Int { 128 * count + 4 * slack }

    /// Reads an input. An error that says nothing, or calls a damaged file a fault of the system, ends the program.
    public func read(_ bytes: [UInt8], in place: ReadingPlace) -> Outcome {
        do throws(PithError) {
            try body(bytes, place.scratch)
            return .read
        } catch {
            precondition(!error.message.isEmpty, "an error without a message")
            precondition(error.kind != .fault, "a damaged file is called a fault: \(error)")
            return .refused(error)
        }
    }
}

/// Where readers put files.
public struct ReadingPlace: Sendable {
    let scratch: Scratch

    /// A new place, which is removed when it goes out of use.
    public init() throws(PithError) { scratch = try Scratch() }
}
