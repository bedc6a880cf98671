import PithCore
import PithFormats
import PithTensor

/// Names the token that a row of a forward pass belongs to, for errors: `window 3, token 17`.
public typealias RowName = (_ row: Int) -> String

/// Values that are no finite numbers. They are looked for wherever a narrower form of them would hide them, which is
/// cheap; where they began is only asked when some were found.
extension LanguageModel {
    /// Refuses logits, [rows, vocabulary], of which one is not finite.
    func requireFinite(_ logits: Tensor, _ name: RowName) throws(PithError) {
        guard let row = logits.firstNonFiniteRow,
            let (token, value) = logits.rows(row..<row + 1).values.firstNonFinite
        else { return }
        var message = "the logit of token \(token) is \(value)"
        let weight = configuration.tiesEmbeddings ? "the token embedding" : "lm_head.weight"
        if let found = Self.firstNonFinite(in: head, rows: token..<token + 1) {
            message += "; \(weight) holds \(found)"
        }
        throw .data(message, at: name(row), remedy: Self.remedy)
    }

    /// What to say when a pass over `tokens` has met values that are not finite: the token, the layer and the weight
    /// where they began. `states` hold the tokens.
    func originOfNonFinite(_ tokens: [[Int]], _ states: [SequenceState], _ name: RowName) -> PithError {
        var firstRow = 0
        for (sequence, state) in zip(tokens, states) {
            // The row of a token does not depend on its company: alone it goes wrong as it did in the block.
            var before = [state]
            before[0].truncate(to: state.position - sequence.count)
            let finder = NonFiniteFinder()
            _ = pass([sequence], &before, ForwardWorkspace(), finder)
            if var found = finder.found {
                found.token = sequence[found.row]
                let place = "\(name(firstRow + found.row)): \(description(of: found))"
                return .data("a value is \(found.value)\(source(of: found))", at: place, remedy: Self.remedy)
            }
            firstRow += sequence.count
        }
        return .data("a value is no finite number", at: name(0), remedy: Self.remedy)
    }

    private static let remedy =
        "the weights are damaged, or too large for what they are computed in; take the model from its source again"

    private func description(of found: NonFiniteFinder.Finding) -> String {
        found.layer < layers.count ? "layer \(found.layer), \(found.site.rawValue)" : found.site.rawValue
    }

    /// The first weight that is not finite among those that made the values found.
    private func source(of found: NonFiniteFinder.Finding) -> String {
        let layer = found.layer
        func norm(_ name: String, _ weights: [Float]) -> String? {
            weights.firstNonFinite.map { "; \(name) holds \($0.value) at \($0.index)" }
        }
        func matrix(_ site: LinearSite, of layer: Int) -> String? {
            guard layers.indices.contains(layer) else { return nil }
            let matrix = layers[layer][site]
            return Self.firstNonFinite(in: matrix, rows: 0..<matrix.outputCount).map {
                "; \(site.weightName(layer: layer)) holds \($0)"
            }
        }
        let candidates: [() -> String?] =
            switch found.site {
            case .residual where layer == 0:
                [
                    {
                        Self.firstNonFinite(in: embedding, rows: found.token..<found.token + 1).map {
                            "; the token embedding holds \($0)"
                        }
                    }
                ]
            case .residual: [{ matrix(.output, of: layer - 1) }, { matrix(.down, of: layer - 1) }]
            case .attentionInput:
                [{ norm("model.layers.\(layer).input_layernorm.weight", layers[layer].attentionNorm) }]
            case .queries: [{ matrix(.query, of: layer) }]
            case .keys: [{ matrix(.key, of: layer) }]
            case .values: [{ matrix(.value, of: layer) }]
            case .attentionOutput, .logits: []
            case .feedForwardInput:
                [
                    { norm("model.layers.\(layer).post_attention_layernorm.weight", layers[layer].feedForwardNorm) },
                    { matrix(.output, of: layer) },
                ]
            case .feedForwardHidden: [{ matrix(.gate, of: layer) }, { matrix(.up, of: layer) }]
            case .headInput:
                [
                    { norm("model.norm.weight", finalNorm) }, { matrix(.output, of: layer - 1) },
                    { matrix(.down, of: layer - 1) },
                ]
            }
        for candidate in candidates { if let text = candidate() { return text } }
        return ""
    }

    /// `nan at [3, 5]` for the first weight that is not finite; nil where rows cannot be read or all are well.
    private static func firstNonFinite(in matrix: any LinearOperator, rows: Range<Int>) -> String? {
        guard let matrix = matrix as? any RowDecodable else { return nil }
        var buffer = [Float](repeating: 0, count: matrix.inputCount)
        for row in rows {
            buffer.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { matrix.decodeRow(row, into: base) } }
            if let (column, value) = buffer.firstNonFinite { return "\(value) at [\(row), \(column)]" }
        }
        return nil
    }
}

/// Remembers the first activation that was not finite.
private final class NonFiniteFinder: ActivationObserver {
    struct Finding {
        var site: ActivationSite
        var layer: Int
        var row: Int
        var value: Float
        /// The token that was read; the observer does not know it.
        var token = 0
    }

    private(set) var found: Finding?

    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int) {
        guard found == nil, !areFinite(activations, count: rows * width) else { return }
        let values = UnsafeBufferPointer(start: activations, count: rows * width)
        guard let (index, value) = values.firstNonFinite else { return }
        found = Finding(site: site, layer: layer, row: index / width, value: value)
    }
}
