import Foundation

/// Unicode's normalisation forms (UAX #15): decomposition, canonical order, composition.
///
/// The system says how single characters are decomposed; all that concerns several is done here, alike everywhere.
enum NormalizationForm: Sendable {
    case canonicalDecomposition, canonicalComposition, compatibilityDecomposition, compatibilityComposition

    private var isCompatible: Bool { self == .compatibilityDecomposition || self == .compatibilityComposition }
    private var composes: Bool { self == .canonicalComposition || self == .compatibilityComposition }

    /// The text in this form.
    func apply(to text: AlignedText) -> AlignedText {
        // What is plain ASCII is in every form, and most texts are.
        guard text.bytes.contains(where: { $0 >= 0x80 }) else { return text }
        var writer = AlignedWriter(text)
        let tables = NormalizationTables.shared
        while writer.position < text.bytes.count {
            let rest = text.bytes[writer.position...]
            // A character of one byte changes only with what follows it.
            if rest.prefix(2).allSatisfy({ $0 < 0x80 }) {
                let run = rest.firstIndex { $0 >= 0x80 }
                writer.keep(run.map { max(1, $0 - rest.startIndex - 1) } ?? rest.count)
                continue
            }
            let length = Self.segmentLength(rest, tables, isCompatible: isCompatible)
            for (scalar, change) in normalized(rest.prefix(length), tables) { writer.write(scalar, change: change) }
        }
        return writer.finish()
    }

    /// The bytes up to the next character before which nothing can be composed or reordered.
    private static func segmentLength(
        _ text: ArraySlice<UInt8>, _ tables: NormalizationTables, isCompatible: Bool
    ) -> Int {
        var length = 0
        while let scalar = text.firstScalar(from: text.startIndex + length) {
            if length > 0, tables.begins(scalar, isCompatible: isCompatible) { break }
            length += UTF8.width(scalar)
        }
        return length
    }

    /// A character on its way, its class, and how many characters it is put in for (1) or stands for more than (−1, …).
    private typealias Part = (scalar: Unicode.Scalar, order: UInt8, change: Int)

    private func normalized(
        _ segment: ArraySlice<UInt8>, _ tables: NormalizationTables
    ) -> [(scalar: Unicode.Scalar, change: Int)] {
        var parts: [Part] = []
        for scalar in Substring(decoding: segment, as: UTF8.self).unicodeScalars {
            for (index, part) in tables.decomposition(of: scalar, isCompatible: isCompatible).enumerated() {
                parts.append((part, NormalizationTables.order(part), min(index, 1)))
            }
        }
        Self.order(&parts)
        return (composes ? Self.composed(parts, tables) : parts).map { ($0.scalar, $0.change) }
    }

    /// Marks that follow each other, by class; those of one class stay in order.
    private static func order(_ parts: inout [Part]) {
        var start = 0
        while start < parts.count {
            guard parts[start].order > 0 else {
                start += 1
                continue
            }
            let end = parts[start...].firstIndex { $0.order == 0 } ?? parts.count
            let sorted = parts[start..<end].enumerated().sorted {
                ($0.element.order, $0.offset) < ($1.element.order, $1.offset)
            }
            parts.replaceSubrange(start..<end, with: sorted.map(\.element))
            start = end
        }
    }

    private static func composed(_ parts: [Part], _ tables: NormalizationTables) -> [Part] {
        var result: [Part] = []
        var starter: Int?
        // The class of the last character behind the starter.
        var last: UInt8 = 0
        for part in parts {
            if let place = starter, last < part.order || result.count == place + 1,
                let composite = tables.composition(of: result[place].scalar, part.scalar)
            {
                result[place].scalar = composite
                result[place].change += part.change - 1
                continue
            }
            if part.order == 0 { starter = result.count }
            last = part.order
            result.append(part)
        }
        return result
    }
}

/// How characters are taken apart and put together.
private struct NormalizationTables: Sendable {
    static let shared = NormalizationTables()

    /// Whole decompositions of the characters that have one, syllables of Hangul apart.
    private var canonical: [Unicode.Scalar: [Unicode.Scalar]] = [:]
    private var compatible: [Unicode.Scalar: [Unicode.Scalar]] = [:]
    private var compositions: [Pair: Unicode.Scalar] = [:]
    /// What can be the second of a pair.
    private var seconds: Set<Unicode.Scalar> = []

    private struct Pair: Hashable {
        var first: Unicode.Scalar
        var second: Unicode.Scalar
    }

    /// Where characters with decompositions are; other planes and blocks have none.
    private static let ranges: [ClosedRange<UInt32>] = [
        0xA0...0x33FF, 0xA000...0xABFF, 0xF900...0xFFFF, 0x10000...0x1FFFF, 0x2F800...0x2FFFF,
    ]

    /// The version of Unicode that the reference implementation knows; what came later stays as it is.
    private static let newestVersion = 9

    private static func isKnown(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.age.map { $0.major <= newestVersion } ?? true
    }

    /// The combining class.
    static func order(_ scalar: Unicode.Scalar) -> UInt8 {
        if scalar.value < 0x300 { return 0 }
        let order = scalar.properties.canonicalCombiningClass.rawValue
        return order > 0 && isKnown(scalar) ? order : 0
    }

    private init() {
        let scalars = Self.ranges.joined().compactMap { Unicode.Scalar($0) }
        // All in one text, each on a line: a call for each would take long.
        var lines = String.UnicodeScalarView()
        for scalar in scalars { lines.append(contentsOf: [scalar, "\n"]) }
        let text = String(lines)
        canonical = Self.changes(scalars, text.decomposedStringWithCanonicalMapping)
        compatible = Self.changes(scalars, text.decomposedStringWithCompatibilityMapping)
        let wholes = canonical.filter { !$0.key.properties.isFullCompositionExclusion }
        let composites = Dictionary(wholes.map { ($1, $0) }) { first, _ in first }
        for (scalar, parts) in wholes {
            guard let second = parts.last, parts.count > 1,
                let first = parts.count == 2 ? parts[0] : composites[Array(parts.dropLast())]
            else { continue }
            compositions[Pair(first: first, second: second)] = scalar
            seconds.insert(second)
        }
    }

    private static func changes(
        _ scalars: [Unicode.Scalar], _ lines: String
    ) -> [Unicode.Scalar: [Unicode.Scalar]] {
        var changes: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        for (scalar, line) in zip(
            scalars, lines.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false))
        where !line.elementsEqual([scalar]) && isKnown(scalar) {
            changes[scalar] = Array(line)
        }
        return changes
    }

    func decomposition(of scalar: Unicode.Scalar, isCompatible: Bool) -> [Unicode.Scalar] {
        if let parts = Hangul.decomposition(of: scalar) { return parts }
        return (isCompatible ? compatible[scalar] : canonical[scalar]) ?? [scalar]
    }

    func composition(of first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        Hangul.composition(of: first, second) ?? compositions[Pair(first: first, second: second)]
    }

    /// Whether nothing before `scalar` can change with it.
    func begins(_ scalar: Unicode.Scalar, isCompatible: Bool) -> Bool {
        if scalar.value < 0x80 { return true }
        guard let first = decomposition(of: scalar, isCompatible: isCompatible).first else { return true }
        return Self.order(first) == 0 && !seconds.contains(first)
            && !Hangul.follows(first)
    }
}

/// The syllables of Hangul, which are put together by arithmetic.
private enum Hangul {
    private static let (leads, vowels, tails, syllables): (UInt32, UInt32, UInt32, UInt32) =
        (0x1100, 0x1161, 0x11A7, 0xAC00)
    private static let (leadCount, vowelCount, tailCount): (UInt32, UInt32, UInt32) = (19, 21, 28)
    private static let syllableCount = leadCount * vowelCount * tailCount

    static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
        guard (syllables..<syllables + syllableCount).contains(scalar.value) else { return nil }
        let index = scalar.value - syllables
        let tail = index % tailCount
        return [
            leads + index / (vowelCount * tailCount), vowels + index / tailCount % vowelCount,
            tail > 0 ? tails + tail : nil,
        ].compactMap { $0.flatMap(Unicode.Scalar.init) }
    }

    static func composition(of first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        if (leads..<leads + leadCount).contains(first.value), (vowels..<vowels + vowelCount).contains(second.value) {
            return Unicode.Scalar(
                syllables + ((first.value - leads) * vowelCount + second.value - vowels) * tailCount)
        }
        let isOpen =
            (syllables..<syllables + syllableCount).contains(first.value)
            && (first.value - syllables) % tailCount == 0
        guard isOpen, (tails + 1..<tails + tailCount).contains(second.value) else { return nil }
        return Unicode.Scalar(first.value + second.value - tails)
    }

    /// Whether a letter can belong to the syllable before it.
    static func follows(_ scalar: Unicode.Scalar) -> Bool {
        (vowels..<vowels + vowelCount).contains(scalar.value)
            || (tails + 1..<tails + tailCount).contains(scalar.value)
    }
}
