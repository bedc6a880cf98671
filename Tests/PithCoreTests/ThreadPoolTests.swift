import PithCore
import Synchronization
import Testing

@Suite("Thread pool")
struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 8])
    func everyIndexIsVisitedOnce(threads: Int) {
        let pool = ThreadPool(threads: threads)
        for (count, grain) in [(0, 4), (1, 4), (7, 3), (1000, 7), (64, 64)] {
            for _ in 0..<50 {
                var visits = [Int32](repeating: 0, count: count)
                visits.withUnsafeMutableBufferPointer { visits in
                    pool.forEachBlock(of: count, grain: grain) { block in
                        #expect(block.count <= grain)
                        for i in block { visits[i] += 1 }
                    }
                }
                #expect(visits.allSatisfy { $0 == 1 })
            }
        }
    }

    @Test func loopsInsideLoopsRun() {
        let pool = ThreadPool(threads: 3)
        let sum = Atomic<Int>(0)
        pool.forEachBlock(of: 10, grain: 1) { outer in
            pool.forEachBlock(of: 10, grain: 2) { inner in
                for i in inner { sum.add(outer.lowerBound * 10 + i, ordering: .relaxed) }
            }
        }
        #expect(sum.load(ordering: .relaxed) == (0..<100).reduce(0, +))
    }

    @Test func sleepingWorkersWake() async throws {
        let pool = ThreadPool(threads: 4)
        for _ in 0..<5 {
            try await Task.sleep(for: .milliseconds(5))
            let sum = Atomic<Int>(0)
            pool.forEachBlock(of: 100, grain: 1) { sum.add($0.lowerBound, ordering: .relaxed) }
            #expect(sum.load(ordering: .relaxed) == 4950)
        }
    }
}
