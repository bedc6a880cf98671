import PithCore
import PithTensor
import Synchronization

/// Cosines and sines of the rotary angles of a model, computed once for each position.
public final class RotaryTable: Sendable {
    /// Angles of one position: headSize / 2.
    let half: Int
    private let inverseFrequencies: [Float]
    // Position after position its cosines, then its sines.
    private let angles = Mutex<[Float]>([])

    /// An empty table; `inverseFrequencies` are the angles per position of each pair of elements.
    init(inverseFrequencies: [Float]) {
        half = inverseFrequencies.count
        self.inverseFrequencies = inverseFrequencies
    }

    /// Writes cosines and sines, [positions, half] each, of some positions.
    func copy(
        _ positions: Range<Int>, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>
    ) {
        angles.withLock { angles in
            for position in angles.count / (2 * half)..<max(angles.count / (2 * half), positions.upperBound) {
                let turns = inverseFrequencies.map { Double(Float(position) * $0) }
                angles += turns.map { Float(cosine($0)) }
                angles += turns.map { Float(sine($0)) }
            }
            angles.withUnsafeBufferPointer { angles in
                for (row, position) in positions.enumerated() {
                    let source = angles.baseAddress! + 2 * half * position
                    (cosines + row * half).update(from: source, count: half)
                    (sines + row * half).update(from: source + half, count: half)
                }
            }
        }
    }
}
