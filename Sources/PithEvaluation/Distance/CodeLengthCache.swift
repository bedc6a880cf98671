import PithCore

/// Code lengths that were computed before, in a text file: a line that says of which code, then a line
/// `digest-of-x digest-of-known bits` for each length.
struct CodeLengthCache {
    private let path: String?
    private let heading: String
    private var lengths: [String: Double] = [:]
    private var isChanged = false

    /// Opens the file at `path` if there is one.
    init(_ path: String?, identity: String) throws(PithError) {
        self.path = path
        heading = "code lengths, \(identity)"
        guard let path, Files.exists(path) else { return }
        let lines = try Files.text(path).split(separator: "\n")
        guard let first = lines.first, first == heading else {
            throw .data(
                "does not hold \(heading)", at: path, remedy: "give another file, or remove this one to make it anew")
        }
        for (number, line) in lines.enumerated().dropFirst() {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let bits = Double(parts[2]), bits.isFinite else {
                throw .data("is no code length", at: "\(path): line \(number + 1)", remedy: "remove the line")
            }
            lengths["\(parts[0]) \(parts[1])"] = bits
        }
    }

    /// K(x) of each text, or K(x | known).
    mutating func lengths(
        of texts: [String], given known: String? = nil, _ code: any CodeLength
    ) throws(PithError) -> [Double] {
        let condition = known.map(Self.digest) ?? "-"
        let keys = texts.map { "\(Self.digest($0)) \(condition)" }
        let missing = texts.indices.filter { lengths[keys[$0]] == nil }
        if !missing.isEmpty {
            let texts = missing.map { texts[$0] }
            let computed =
                if let known { try code.lengths(of: texts, given: known) } else { try code.lengths(of: texts) }
            for (index, bits) in zip(missing, computed) { lengths[keys[index]] = bits }
            isChanged = true
        }
        return keys.map { lengths[$0] ?? .nan }
    }

    /// Writes the file if there is one and lengths were added.
    func save() throws(PithError) {
        guard let path, isChanged else { return }
        let lines = lengths.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        try AtomicFile.write(([heading] + lines).joined(separator: "\n") + "\n", to: path)
    }

    /// Half of a SHA-256 tells texts apart.
    private static func digest(_ text: String) -> String {
        Array(text.utf8).withUnsafeBytes { String(SHA256.hexDigest(of: $0).prefix(32)) }
    }
}
