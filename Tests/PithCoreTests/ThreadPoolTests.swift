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

    @Test func sharesOfSlowThreadsAreTakenOver() {
        let pool = ThreadPool(threads: 4)
        for round in 0..<200 {
            let visits = Atomic<Int>(0)
            // The first blocks, the caller's own share, are the long ones.
            pool.forEachBlock(of: 40, grain: 1) { block in
                var sum = 0
                for i in 0..<(block.lowerBound < 10 ? 20_000 : 10) { sum &+= i &* round }
                visits.add(sum == .min ? 0 : 1, ordering: .relaxed)
            }
            #expect(visits.load(ordering: .relaxed) == 40)
        }
    }

    @Test func callersOnManyThreadsShareAPool() async {
        let pool = ThreadPool(threads: 3)
        let total = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var sum = 0
                    for _ in 0..<300 {
                        let part = Atomic<Int>(0)
                        pool.forEachBlock(of: 9, grain: 2) { part.add($0.count, ordering: .relaxed) }
                        sum += part.load(ordering: .relaxed)
                    }
                    return sum
                }
            }
            return await group.reduce(0, +)
        }
        #expect(total == 4 * 300 * 9)
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
