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
        if let output = description.output,
            let found = firstNonFinite(in: output.matrix, rows: token..<token + 1)
        {
            message += "; \(found)"
        }
        throw .data(message, at: name(row), remedy: Self.remedy)
    }

    /// What to say when a pass over `tokens` has met values that are not finite: the token, the layer and the weight
    /// where they began. `states` hold the tokens; `recurrent` are those of their recurrences before them.
    func originOfNonFinite(
        _ tokens: [[Int]], _ states: [SequenceState], before recurrent: [[RecurrentState]], _ name: RowName
    ) -> PithError {
        var firstRow = 0
        for (index, sequence) in tokens.enumerated() {
            // The row of a token does not depend on its company: alone it goes wrong as it did in the block.
            var before = [states[index]]
            before[0].goBack(to: states[index].position - sequence.count, recurrent[index])
            let finder = NonFiniteFinder()
            _ = pass([sequence], &before, ForwardWorkspace(), finder)
            if let found = finder.found {
                let place = "\(name(firstRow + found.row)): \(placeName(of: found))"
                let source = source(of: found, token: sequence[found.row]).map { "; \($0)" } ?? ""
                return .data("a value is \(found.value)\(source)", at: place, remedy: Self.remedy)
            }
            firstRow += sequence.count
        }
        return .data("a value is no finite number", at: name(0), remedy: Self.remedy)
    }

    private static let remedy =
        "the weights are damaged, or too large for what they are computed in; take the model from its source again"

    private func placeName(of found: NonFiniteFinder.Finding) -> String {
        let site =
            switch found.site {
            case .residual: "the residual stream"
            case .input(let matrices): "the input of \(matrices.map { description[$0].name }.joined(separator: ", "))"
            case .normalized(let weight): "behind \(description[weight].name)"
            case .queries: "queries"
            case .keys: "keys"
            case .values: "values"
            case .elements(let parameter): "the elements of \(description[parameter].name)"
            case .operand: "what enters an element-wise function or a recurrence"
            case .logits: "logits"
            }
        return found.layer < description.layers.count ? "layer \(found.layer), \(site)" : site
    }

    /// The first weight that is not finite among those that made the values found.
    private func source(of found: NonFiniteFinder.Finding, token: Int) -> String? {
        for id in found.parameters {
            if let text = firstNonFinite(in: id, rows: nil) { return text }
        }
        // Nothing was multiplied yet.
        return found.layer == 0 ? firstNonFinite(in: description.input.table, rows: token..<token + 1) : nil
    }

    /// `lm_head.weight holds nan at [3, 5]` for the first element that is not finite, of some rows or of all; nil where
    /// rows cannot be read or all is well.
    private func firstNonFinite(in id: ParameterID, rows: Range<Int>?) -> String? {
        let name = description[id].name
        guard description[id].kind != .vector else {
            return self[vector: id].firstNonFinite.map { "\(name) holds \($0.value) at \($0.index)" }
        }
        guard let matrix = self[matrix: id] as? any RowDecodable else { return nil }
        var buffer = [Float](repeating: 0, count: matrix.inputCount)
        for row in rows ?? 0..<matrix.outputCount {
            buffer.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { matrix.decodeRow(row, into: base) } }
            if let (column, value) = buffer.firstNonFinite { return "\(name) holds \(value) at [\(row), \(column)]" }
        }
        return nil
    }
}

/// Remembers the first activation that was not finite, and which parameters were used since all was well.
private final class NonFiniteFinder: ActivationObserver {
    struct Finding {
        var site: ActivationSite
        var layer: Int
        var row: Int
        var value: Float
        /// What may have made it.
        var parameters: [ParameterID]
    }

    private(set) var found: Finding?
    // The matrices whose products came last.
    private var matrices: [ParameterID] = []

    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int) {
        guard found == nil else { return }
        if !areFinite(activations, count: rows * width) {
            let values = UnsafeBufferPointer(start: activations, count: rows * width)
            guard let (index, value) = values.firstNonFinite else { return }
            var parameters = matrices
            switch site {
            case .normalized(let parameter), .elements(let parameter): parameters.insert(parameter, at: 0)
            default: break
            }
            found = Finding(site: site, layer: layer, row: index / width, value: value, parameters: parameters)
        } else if case .input(let matrices) = site {
            self.matrices = matrices
        }
    }
}
