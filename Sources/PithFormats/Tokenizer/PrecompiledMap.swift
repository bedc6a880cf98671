import Foundation
import PithCore

/// A table of replacements as SentencePiece compiles it: a double-array trie over bytes, and the texts that it names.
struct PrecompiledMap: Sendable {
    private let units: [UInt32]
    private let texts: [UInt8]
    /// What each character of ASCII becomes by itself; nil where it stays.
    private var ascii: [[UInt8]?] = []

    /// Pieces of text up to this length are looked up as a whole before their characters are.
    private static let longestCluster = 5

    /// Reads a table in base 64, as tokenizer files have it.
    init(base64 text: String) throws(PithError) {
        guard let data = Data(base64Encoded: text) else { throw .data("is no base 64") }
        try self.init(Array(data))
    }

    /// Reads a table: the bytes of the trie, its units, the texts, each with a zero behind it.
    init(_ bytes: [UInt8]) throws(PithError) {
        func word(_ place: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
        }
        guard bytes.count >= 4, word(0) % 4 == 0, Int(word(0)) <= bytes.count - 4 else {
            throw .data("is no compiled table of characters")
        }
        let end = 4 + Int(word(0))
        units = stride(from: 4, to: end, by: 4).map(word)
        texts = Array(bytes[end...])
        ascii = (0..<128).map { byte in replacement(of: [UInt8(byte)]) }
    }

    /// What the shortest beginning of `key` that the table has becomes; nil if it has none.
    private func replacement(of key: some Sequence<UInt8>) -> [UInt8]? {
        func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 0x200) >> 6)) }
        guard var unit = units.first else { return nil }
        var node = offset(unit)
        for byte in key where byte != 0 {
            node ^= Int(byte)
            guard node < units.count else { return nil }
            unit = units[node]
            guard unit & 0x8000_00FF == UInt32(byte) else { return nil }
            node ^= offset(unit)
            guard node < units.count else { return nil }
            if unit >> 8 & 1 == 1 {
                let start = Int(units[node] & 0x7FFF_FFFF)
                guard start < texts.count else { return nil }
                return Array(texts[start...].prefix { $0 != 0 })
            }
        }
        return nil
    }

    /// The text with everything replaced that the table has: clusters of a few bytes as a whole, and all else by
    /// character.
    func apply(to text: AlignedText) -> AlignedText {
        var changes: [Change] = []
        var isChanged = false
        func replace(_ old: Int, by new: [UInt8]) {
            isChanged = true
            let scalars = Array(String(decoding: new, as: UTF8.self).unicodeScalars)
            changes += scalars.map { ($0, 0) }
            let difference = scalars.count - old
            if difference > 0 {
                for i in changes.count - difference..<changes.count { changes[i].change = 1 }
            } else if difference < 0, !changes.isEmpty {
                changes[changes.count - 1].change += difference
            }
        }
        forEachCluster(in: text.bytes) { cluster in
            let count = cluster.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
            if cluster.count <= Self.longestCluster, let new = lookUp(cluster) {
                replace(count, by: new)
                return
            }
            var place = cluster.startIndex
            while place < cluster.endIndex {
                let end = place + UTF8.width(leading: cluster[place])
                if let new = lookUp(cluster[place..<end]) {
                    replace(1, by: new)
                } else if let scalar = cluster.firstScalar(from: place) {
                    changes.append((scalar, 0))
                }
                place = end
            }
        }
        guard isChanged else { return text }
        var writer = AlignedWriter(text)
        for (scalar, change) in changes { writer.write(scalar, change: change) }
        return writer.finish()
    }

    private typealias Change = (scalar: Unicode.Scalar, change: Int)

    private func lookUp(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        if part.count == 1, let byte = part.first, byte < 0x80 { return ascii[Int(byte)] }
        return replacement(of: part)
    }

    /// Calls `body` with each extended grapheme cluster of valid UTF-8.
    private func forEachCluster(in bytes: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
        var place = 0
        while place < bytes.count {
            // Characters of ASCII that follow each other are clusters of their own, but for a carriage return.
            if bytes[place] < 0x80, bytes[place] != 0x0D, place + 1 == bytes.count || bytes[place + 1] < 0x80 {
                body(bytes[place..<place + 1])
                place += 1
                continue
            }
            // Up to the next place where a cluster certainly begins.
            var end = place + 1
            while end < bytes.count, bytes[end] >= 0x80 || bytes[end - 1] >= 0x80 || bytes[end - 1] == 0x0D { end += 1 }
            for cluster in String(decoding: bytes[place..<end], as: UTF8.self) {
                let count = cluster.utf8.count
                body(bytes[place..<place + count])
                place += count
            }
        }
    }
}
