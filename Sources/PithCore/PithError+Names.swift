extension PithError {
    /// No method has this name: says which there are, and which of them was probably meant.
    public static func unknownMethod(_ name: String, among names: [String]) -> PithError {
        .usage("unknown method '\(name)'", remedy: suggestion(for: name, among: names, called: "the methods are"))
    }

    /// Which of `names` was probably meant by `name`, and the first hundred of them: `did you mean a? the names are a, b`.
    public static func suggestion(for name: String, among names: [String], called what: String) -> String {
        let distances = names.prefix(1000).map { editDistance($0.prefix(200), name.prefix(200)) }
        let list = names.prefix(100).joined(separator: ", ") + (names.count > 100 ? ", …" : "")
        guard let least = distances.min(), least <= max(2, name.count / 3), let place = distances.firstIndex(of: least)
        else { return "\(what) \(list)" }
        return "did you mean \(names[place])? \(what) \(list)"
    }
}

/// How many letters must be put in, taken out or exchanged to get from `a` to `b` (Levenshtein's distance).
func editDistance(_ a: Substring, _ b: Substring) -> Int {
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
