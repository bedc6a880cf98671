import Foundation
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
                pool.forEachBlock(of: count, grain: grain, writing: &visits) { block, visits in
                    #expect(block.count <= grain && visits.count == block.count)
                    for i in visits.indices { visits[i] += 1 }
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

    @Test func numbersOfThreadsHaveARange() {
        for (asked, given) in [(-5, 1), (0, 1), (3, 3)] { #expect(ThreadPool(threads: asked).threadCount == given) }
        let largest = ThreadPool(threads: 1_000_000_000)
        #expect(largest.threadCount == ThreadPool.threadRange.upperBound)
        #expect((0..<largest.threadCount) ~= largest.missingThreadCount)
        let sum = Atomic<Int>(0)
        largest.forEachBlock(of: 5000, grain: 1) { sum.add($0.count, ordering: .relaxed) }
        #expect(sum.load(ordering: .relaxed) == 5000)
    }
}

struct MemoryTests {
    @Test func whatNoMachineHasIsAnError() throws {
        try Memory.require(1 << 20, for: "a test")
        for count in [Int.max, 1 << 60, -1] {
            do {
                try Memory.require(count, for: "a test")
                Issue.record("\(count) bytes were had")
            } catch { #expect(error.kind == .fault && error.message.contains("a test")) }
        }
    }
}

@Suite("What a thread chose for its work")
struct ThreadContextTests {
    /// Loops have the choice of their caller, and nobody beside has it.
    @Test(arguments: [1, 4]) func loopsHaveTheirCallersChoice(threads: Int) {
        let pool = ThreadPool(threads: threads)
        for choice in [3, 0, 5, 0] {
            ThreadContext.value = choice
            defer { ThreadContext.value = 0 }
            let others = Atomic<Int>(0)
            pool.forEachBlock(of: 400, grain: 1) { _ in
                if ThreadContext.value != choice { others.add(1, ordering: .relaxed) }
            }
            #expect(others.load(ordering: .relaxed) == 0)
        }
    }
}
