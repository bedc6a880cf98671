import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Stored layouts")
struct LayoutTests {
    @Test("bitmask and n:m keep exactly what was selected", arguments: [1, 7, 8, 16, 24, 45, 130])
    func sparseLayoutsDecode(columns: Int) throws {
        var random = SeededGenerator(seed: 1)
        let weight = random.normalTensor([5, columns])
        let rounded = Tensor(shape: weight.shape, values: roundedToHalf(weight.values))
        let kept = (0..<weight.count).map { _ in random.next() % 3 == 0 }
        let bitmask = try BitmaskSparse(weight, keeping: kept)
        for i in 0..<weight.count {
            #expect(bitmask.decodedWeight().values[i] == (kept[i] ? rounded.values[i] : 0))
        }
        for (n, m) in [(2, 4), (4, 8), (1, 4), (3, 4), (1, 2), (5, 8), (7, 8)] {
            let pattern = try KeepPattern(kept: n, of: m)
            // Keep the first n columns of each group in even rows, the last in odd ones.
            let kept = (0..<weight.count).map { i in
                let (row, place) = (i / columns, i % columns % m)
                return row % 2 == 0 ? place < n : place >= m - n
            }
            let sparse = try PatternSparse(weight, keeping: kept, pattern)
            let places = sparse.selection.places
            #expect((0..<weight.count).allSatisfy { kept[$0] == (places[$0] >= 0) || $0 % columns >= columns / m * m })
            let decoded = sparse.decodedWeight()
            for i in 0..<weight.count where kept[i] { #expect(decoded.values[i] == rounded.values[i]) }
            for i in 0..<weight.count where places[i] < 0 { #expect(decoded.values[i] == 0) }
        }
    }
}
