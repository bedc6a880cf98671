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
        switch kind {
        case .noise: []
        case .floats(let type): [Floats.spec(type)]
        case .blocks(let size): [Planes.spec(width: size)]
        case .table where self != .fast: [contextMixing(kind, model), Spec("table")]
        case .text, .table, .binary, .pixels, .samples: [contextMixing(kind, model)]
        }
    }

    private func contextMixing(_ kind: ContentKind, _ model: String) -> Spec {
        guard self != .fast else { return Spec("lean") }
        var options: KeyValuePairs<String, String> = ["effort": rawValue]
        switch kind {
        case .pixels(let row, let pixel):
            guard pixel != 2 else { break }
            options = ["effort": rawValue, "content": pixel == 1 ? "image8" : "image24", "width": "\(row)"]
        case .samples(let channels):
            options = ["effort": rawValue, "content": "audio16", "width": "\(2 * channels)"]
        case .text, .table:
            options =
                self == .best
                ? ["effort": rawValue, "model": model, "primer": "1", "network": "1"]
                : ["effort": rawValue, "primer": "1"]
        default:
            if self == .best { options = ["effort": rawValue, "primer": "1", "network": "1"] }
        }
        return Spec("mix", options)
    }

    /// Content is cut into segments of at most so many bytes; each can be opened without the others.
    var segmentSize: Int { 32 << 20 }
}

extension Spec {
    /// One method with its options.
    fileprivate init(_ name: String, _ options: KeyValuePairs<String, String> = [:]) {
        self.init(stages: [.init(name: name, options: options.map { (name: $0.key, value: $0.value) })])
    }
}
