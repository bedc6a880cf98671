extension PithError {
    /// No method has this name: says which there are, and which of them was probably meant.
    public static func unknownMethod(_ name: String, among names: [String]) -> PithError {
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
