import PithCore
import PithPredictors

/// How much work is put into making an archive small.
public enum ZipLevel: String, CaseIterable, Sendable {
    /// Megabytes a second.
    case fast
    /// Some tens of kilobytes a second.
    case standard = "default"
    /// As small as Pith can, with a trained network among the predictors.
    case best

    /// The methods to choose among for content of a kind, the first the most likely; none for what is only stored.
    /// `model` is the language model that takes part, if any does.
    func candidates(for kind: ContentKind, model: String?) -> [Spec] {
        switch kind {
        case .noise: []
        case .floats(let type): [Floats.spec(type)]
        case .blocks(let size): [Planes.spec(width: size)]
        case .table where self != .fast: [contextMixing(kind, model), Spec("table")]
        case .text, .table, .binary, .pixels, .samples: [contextMixing(kind, model)]
        }
    }

    private func contextMixing(_ kind: ContentKind, _ model: String?) -> Spec {
        guard self != .fast else { return Spec("lean") }
        var options = [("effort", rawValue)]
        switch kind {
        case .pixels(let row, let pixel) where pixel != 2:
            options += [("content", pixel == 1 ? "image8" : "image24"), ("width", "\(row)")]
        case .pixels: break
        case .samples(let channels): options += [("content", "audio16"), ("width", "\(2 * channels)")]
        case .text, .table:
            if self == .best, let model { options.append(("model", model)) }
            options.append(("primer", "1"))
            if self == .best { options.append(("network", "2")) }
        default: if self == .best { options += [("primer", "1"), ("network", "2")] }
        }
        return Spec("mix", options)
    }

    /// Content is cut into segments of at most so many bytes; each can be opened without the others.
    var segmentSize: Int { 32 << 20 }
}

extension Spec {
    /// One method with its options.
    fileprivate init(_ name: String, _ options: [(String, String)] = []) {
        self.init(stages: [.init(name: name, options: options.map { (name: $0.0, value: $0.1) })])
    }
}
