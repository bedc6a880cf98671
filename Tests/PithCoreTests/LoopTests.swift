import Foundation
import PithCore
import Synchronization
import Testing

@Suite("Loops and what they write")
struct LoopTests {
    @Test(arguments: [1, 2, 5]) func blocksHaveTheirOwnPartsOfAnArray(threads: Int) {
        let pool = ThreadPool(threads: threads)
        for (count, grain, width) in [(0, 4, 3), (1, 4, 3), (100, 7, 3), (64, 64, 1)] {
            var rows = [Int](repeating: -1, count: count * width)
            pool.forEachBlock(of: count, grain: grain, writing: &rows, width: width) { block, part in
                #expect(part.count == block.count * width)
                for i in part.indices { part[i] = block.lowerBound * width + i }
            }
            #expect(rows == Array(0..<count * width))
        }
    }

    @Test func blocksHaveWhatIsShared() {
        let pool = ThreadPool(threads: 3)
        var (doubled, tripled) = ([Int](repeating: 0, count: 50), [Int](repeating: 0, count: 50))
        doubled.withUnsafeMutableBufferPointer { doubled in
            pool.forEachBlock(of: 50, grain: 4, writing: &tripled, sharing: doubled) { block, tripled, doubled in
                for (place, i) in block.enumerated() { (doubled[i], tripled[place]) = (2 * i, 3 * i) }
            }
        }
        #expect(doubled == (0..<50).map { 2 * $0 } && tripled == (0..<50).map { 3 * $0 })
    }

    @Test func whatBlocksMakeComesInOrder() throws {
        let pool = ThreadPool(threads: 3)
        #expect(pool.map(100, grain: 3) { "\($0)" } == (0..<100).map { "\($0)" })
        #expect(pool.map(0) { $0 }.isEmpty)
        let made = Atomic<Int>(0)
        do {
            _ = try pool.map(100) { (i) throws(PithError) in
                made.add(1, ordering: .relaxed)
                if i % 30 == 17 { throw .data("the number \(i)") }
                return i
            }
            Issue.record("no error")
        } catch { #expect(error.message.contains("17")) }
        // The others are made all the same.
        #expect(made.load(ordering: .relaxed) == 100)
    }
}

@Suite("Loops of several threads")
struct BusyPoolTests {
    /// What two threads tell each other.
    private final class Flags: Sendable {
        let isOpen = Atomic<Bool>(false)
        let mayEnd = Atomic<Bool>(false)
        let order = Mutex<[Int]>([])
        let left = Atomic<Int>(0)
    }

    /// Holds the pool from another thread until the flag is raised; returns when it has it.
    private func occupy(_ pool: ThreadPool, _ flags: Flags) {
        Thread.detachNewThread {
            pool.forEachBlock(of: 2, grain: 1) { _ in
                flags.isOpen.store(true, ordering: .releasing)
                while !flags.mayEnd.load(ordering: .acquiring) { usleep(100) }
            }
        }
        while !flags.isOpen.load(ordering: .acquiring) { usleep(100) }
    }

    @Test func loopsWaitForTheirTurnInOrderAndAreCounted() {
        let (pool, flags) = (ThreadPool(threads: 2), Flags())
        // A loop inside a loop waits for nothing.
        pool.forEachBlock(of: 4, grain: 1) { _ in pool.forEachBlock(of: 4, grain: 1) { _ in } }
        #expect(pool.contention.waits == 0 && pool.contention.alone == 0)
        occupy(pool, flags)
        flags.left.store(3, ordering: .relaxed)
        for number in 1...3 {
            Thread.detachNewThread {
                pool.forEachBlock(of: 10, grain: 1) { block in
                    if block.lowerBound == 0 { flags.order.withLock { $0.append(number) } }
                }
                flags.left.subtract(1, ordering: .releasing)
            }
            while pool.contention.waits < number { usleep(100) }
        }
        #expect(flags.order.withLock { $0 }.isEmpty, "the pool was taken")
        flags.mayEnd.store(true, ordering: .releasing)
        while flags.left.load(ordering: .acquiring) > 0 { usleep(100) }
        #expect(flags.order.withLock { $0 } == [1, 2, 3])
        #expect(pool.contention.waits == 3 && pool.contention.waited > .zero && pool.contention.alone == 0)
    }

    @Test func loopsInsideLoopsOfOtherPoolsNeverWait() {
        let (pool, outer, flags) = (ThreadPool(threads: 2), ThreadPool(threads: 2), Flags())
        occupy(pool, flags)
        let sum = Atomic<Int>(0)
        outer.forEachBlock(of: 2, grain: 1) { _ in
            pool.forEachBlock(of: 10, grain: 1) { sum.add($0.count, ordering: .relaxed) }
        }
        flags.mayEnd.store(true, ordering: .releasing)
        #expect(sum.load(ordering: .relaxed) == 20)
        #expect(pool.contention.waits == 0 && pool.contention.alone == 2)
        #expect(outer.contention.waits == 0 && outer.contention.alone == 0)
    }

    /// Each pool's loops run the other's: whoever waited inside would wait in a circle.
    @Test func poolsInsideEachOtherComeToAnEnd() async {
        let pools = [ThreadPool(threads: 3), ThreadPool(threads: 3)]
        let total = await withTaskGroup(of: Int.self) { group in
            for caller in 0..<4 {
                group.addTask {
                    let sum = Atomic<Int>(0)
                    let (first, second) = (pools[caller % 2], pools[1 - caller % 2])
                    for _ in 0..<200 {
                        first.forEachBlock(of: 4, grain: 1) { _ in
                            second.forEachBlock(of: 4, grain: 1) { _ in
                                first.forEachBlock(of: 4, grain: 1) { sum.add($0.count, ordering: .relaxed) }
                            }
                        }
                    }
                    return sum.load(ordering: .relaxed)
                }
            }
            return await group.reduce(0, +)
        }
        #expect(total == 4 * 200 * 64)
    }

    /// What a loop's body waits for goes on as well, though it runs elsewhere.
    @Test func whatRunsAheadNeverWaits() {
        let pool = ThreadPool(threads: 2)
        let sums = RunAhead<Int>(limit: 2) {
            let sum = Atomic<Int>(0)
            pool.forEachBlock(of: 10, grain: 1) { sum.add($0.lowerBound, ordering: .relaxed) }
            return sum.load(ordering: .relaxed)
        }
        let total = Atomic<Int>(0)
        pool.forEachBlock(of: 2, grain: 1, sharing: sums) { block, sums in
            guard block.lowerBound == 0 else { return }
            for _ in 0..<20 { total.add(sums.next() ?? 0, ordering: .relaxed) }
        }
        #expect(total.load(ordering: .relaxed) == 20 * 45)
    }
}
