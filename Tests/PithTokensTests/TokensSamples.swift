import Foundation
import Pith
import PithTestSupport

/// Texts for the tests of tokens.
enum TokenSamples {
    /// Sentences made of a few words, always the same ones.
    static let prose: String = {
        let words = [
            "the", "unhappiness", "of", "teachers", "is", "quickly", "rebuilding", "a", "useful", "government",
            "and", "happily", "reading", "walked", "walking", "statement", "unlikely", "harmless",
        ]
        var generator = SeededGenerator(seed: 3)
        return (0..<400).map { _ in
            (0..<9).map { _ in words[generator.index(below: words.count)] }.joined(separator: " ") + ".\n"
        }.joined()
    }()

    static let model: ByteContextModel = {
        do { return try ByteContextModel(learning: [Array(prose.utf8)[...]], order: 4) } catch {
            fatalError("\(error)")
        }
    }()

    /// Bytes that no model expects, and bytes that it does.
    static let bytes: [[UInt8]] = {
        var generator = SeededGenerator(seed: 5)
        return [
            [], [0], Array(prose.utf8.prefix(3000)), (0..<2000).map { _ in UInt8(generator.index(below: 256)) },
            [UInt8](repeating: 101, count: 3000), Array(UInt8.min...UInt8.max), Array("é日本\u{1F600}\r\n\t".utf8),
        ]
    }()

    /// A file with some bytes changed, cut or repeated.
    static func damaged(_ file: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var copy = file
        for _ in 0..<1 + generator.index(below: 4) where !copy.isEmpty {
            let place = generator.index(below: copy.count)
            switch generator.index(below: 4) {
            case 0: copy[place] = UInt8(generator.index(below: 256))
            case 1: copy[place] ^= 1 << UInt8(generator.index(below: 8))
            case 2: copy.removeSubrange(place...)
            default: copy.insert(contentsOf: copy.suffix(generator.index(below: 9)), at: place)
            }
        }
        return copy
    }
}
