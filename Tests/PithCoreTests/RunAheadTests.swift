import PithCore
import Testing

struct RunAheadTests {
    @Test(arguments: [0, 1, 5])
    func elementsComeInOrder(limit: Int) {
        var made = 0
        let elements = RunAhead<Int>(limit: limit) {
            made += 1
            return made <= 100 ? made * made : nil
        }
        for index in 1...100 { #expect(elements.next() == index * index) }
        #expect(elements.next() == nil)
        #expect(elements.next() == nil)
    }

    /// Whoever asks for no more leaves the maker waiting: it must end, and nothing be made any more.
    @Test func theRestIsNotMade() {
        final class Owner {
            let elements = RunAhead<[Int]>(limit: 2) { Array(0..<1000) }
        }
        for _ in 0..<200 {
            let owner = Owner()
            #expect(owner.elements.next()?.count == 1000)
        }
    }
}
