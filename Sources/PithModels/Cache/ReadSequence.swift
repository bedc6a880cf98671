import PithCore
import PithFormats
import PithTensor

/// A text that a model has read or written: its tokens, and the state that the model is in behind them. Many texts can
/// go on from it, in this process or, saved, in another.
public struct ReadSequence: Sendable {
    /// All tokens; the last ones may not have been read yet.
    public var tokens: [Int]
    /// Behind the first `state.position` of them.
    public var state: SequenceState

    /// A sequence.
    public init(tokens: [Int], state: SequenceState) { (self.tokens, self.state) = (tokens, state) }

    /// Keys of the file's metadata.
    private enum Key { static let (format, cache, model) = ("format", "cache", "model") }
    private static let format = "pith-state"
    private static let tokensName = "tokens"

    private static func name(of cache: any CacheMethod) -> String { type(of: cache).entry.identifier }

    /// Writes the sequence as safetensors: the tokens, all that caches hold, the name of the way in which they hold it,
    /// and what tells the model from all others.
    public func write(to path: String, cache: any CacheMethod, model: ModelFingerprint) throws(PithError) {
        var tensors = state.stored.map { (name: $0.key, tensor: $0.value) }
        tensors.append((Self.tokensName, StoredTensor(integers: tokens)))
        try SafetensorsWriter.write(
            tensors,
            metadata: [
                Key.format: Self.format, Key.cache: Self.name(of: cache), Key.model: String(model.value, radix: 16),
            ], to: path)
    }

    /// Reads what `write` wrote, for a model that keeps keys and values as the one that wrote it did.
    public init(contentsOf path: String, for model: LanguageModel, _ fingerprint: ModelFingerprint) throws(PithError) {
        let file = try SafetensorsFile(path)
        do throws(PithError) {
            guard file.metadata[Key.format] == Self.format else { throw .data("is no saved state") }
            guard file.metadata[Key.model] == String(fingerprint.value, radix: 16) else {
                throw .data(
                    "was saved by another model", remedy: "take the one that wrote it; the same files are needed")
            }
            let cache = file.metadata[Key.cache] ?? ""
            guard cache == Self.name(of: model.cache) else {
                throw .usage("keeps keys and values as '\(cache.shortened)' does", remedy: "--cache \(cache.shortened)")
            }
            var tensors: [String: StoredTensor] = [:]
            for name in file.names { tensors[name] = file[name] }
            let limit = model.configuration.vocabularySize - 1
            let tokens = try tensors.removeValue(forKey: Self.tokensName)?.integers(in: 0...limit) ?? []
            var state = model.makeState()
            try state.restore(tensors)
            guard state.position <= tokens.count, tokens.count <= model.configuration.contextLength else {
                throw .data("\(state.position) of \(tokens.count) tokens were read")
            }
            self.init(tokens: tokens, state: state)
        } catch { throw error.within(path) }
    }
}
