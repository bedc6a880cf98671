/// Eight of the states of a hidden node.
///
/// All that decides bits is addition, subtraction, multiplication and division of floats in one fixed order: IEEE 754
/// leaves no freedom in these, and Swift neither reorders nor contracts them, so every machine gets the same bits.
/// There is no library function, no fused multiplication and no dependence on threads.
package typealias StateVector = SIMD8<Float>

extension StateVector {
    /// The sum of the eight, in a fixed tree.
    @inline(__always)
    var total: Float {
        let four = lowHalf + highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
}

/// Room for the vectors of one pass over a record, [nodes · groups] each.
package final class CircuitWorkspace {
    private let storage: UnsafeMutablePointer<StateVector>
    /// p(everything coded below and at a node | its state), up to a factor.
    package let evidence: UnsafeMutablePointer<StateVector>
    /// p(state of a node | everything coded).
    package let belief: UnsafeMutablePointer<StateVector>
    /// p(everything coded below and at a node | state of its parent), up to a factor.
    package let message: UnsafeMutablePointer<StateVector>

    /// Room for `size` vectors of each kind.
    package init(size: Int) {
        storage = .allocate(capacity: 3 * size)
        storage.initialize(repeating: .zero, count: 3 * size)
        (evidence, belief, message) = (storage, storage + size, storage + 2 * size)
    }

    deinit { storage.deallocate() }
}

/// y = vᵀ · M over `groups` vectors: `vector` [states], `matrix` [states, groups], `result` [groups].
///
/// Four sums run side by side, over the states 0, 4, …; 1, 5, …; and are added in pairs.
@inline(__always)
func multiply(
    _ vector: UnsafePointer<StateVector>, _ matrix: UnsafePointer<StateVector>, groups: Int,
    into result: UnsafeMutablePointer<StateVector>
) {
    vector.withMemoryRebound(to: Float.self, capacity: 8 * groups) { vector in
        for group in 0..<groups {
            var (a, b, c, d) = (StateVector.zero, StateVector.zero, StateVector.zero, StateVector.zero)
            var row = matrix + group
            for state in stride(from: 0, to: 8 * groups, by: 4) {
                a += vector[state] * row[0]
                b += vector[state + 1] * row[groups]
                c += vector[state + 2] * row[2 * groups]
                d += vector[state + 3] * row[3 * groups]
                row += 4 * groups
            }
            result[group] = (a + b) + (c + d)
        }
    }
}
