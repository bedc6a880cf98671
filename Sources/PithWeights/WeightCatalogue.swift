import PithCore

/// All methods of the weights plane.
public enum WeightCatalogue {
    /// The codecs, in the order of help texts. A new method is a file in `Methods/` and a line here.
    public static let all: [any WeightCodec.Type] = [
        RoundToNearest.self,
        GPTQ.self,
        Book.self,
        Ternary.self,
        FP8.self,
        Magnitude.self,
        Wanda.self,
        SparseGPT.self,
        VectorQuantization.self,
        SVD.self,
        EoRA.self,
        DFloat11.self,
        ZipNN.self,
    ]

    /// The codec of a stage's method.
    public static func codec(for stage: Spec.Stage) throws(PithError) -> any WeightCodec {
        guard let type = all.first(where: { $0.identifier == stage.name }) else {
            throw unknown(stage.name)
        }
        return try type.init(OptionValues(stage, for: type.entry))
    }

    private static func unknown(_ name: String) -> PithError {
        let names = all.map { $0.identifier }
        let nearest = names.min { editDistance($0, name) < editDistance($1, name) }
        var remedy = "the methods are \(names.joined(separator: ", "))"
        if let nearest, editDistance(nearest, name) <= max(2, name.count / 3) {
            remedy = "did you mean \(nearest)? " + remedy
        }
        return .usage("unknown method '\(name)'", remedy: remedy)
    }
}

/// How many letters must be put in, taken out or exchanged to get from `a` to `b` (Levenshtein's distance).
func editDistance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in b.enumerated() {
            let exchanged = diagonal + (letter == other ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(exchanged, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}
