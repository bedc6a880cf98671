import PithCore

/// How much work is put into making an archive small.
public enum ZipLevel: String, CaseIterable, Sendable {
    /// Megabytes a second.
    case fast
    /// Some tens of kilobytes a second.
    case standard = "default"
    /// As small as Pith can, with a language model among the predictors.
    case best

    /// The methods to choose among for content of a kind, the first the most likely; none for what is only stored.
    func candidates(for kind: ContentKind, model: String) -> [Spec] {
        let lean = Spec(stages: [.init(name: "store")])
        switch kind {
        case .noise: return []
        case .floats(let type): return [Floats.spec(type)]
        case .blocks(let size): return [Planes.spec(width: size)]
        default: return [lean]
        }
    }

    /// Content is cut into segments of at most so many bytes; each can be opened without the others.
    var segmentSize: Int { 32 << 20 }
}
