import PithCore
import PithTensor
import Synchronization

/// Cosines and sines of the rotary angles of a model, computed once for each position.
package final class RotaryTable: Sendable {
    /// Angles of one position: headSize / 2.
    let half: Int
    private let inverseFrequencies: [Float]
    // Position after position its cosines, then its sines.
    private let angles = Mutex<[Float]>([])

    /// An empty table.
    package init(_ options: RotaryOptions) {
        inverseFrequencies = options.scaling.inverseFrequencies(headSize: options.headSize, theta: options.theta)
        half = inverseFrequencies.count
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

    /// Cosines and sines, [positions, half] each, of some positions.
    package func angles(_ positions: Range<Int>) -> (cosines: [Float], sines: [Float]) {
        var (cosines, sines) = (
            [Float](repeating: 0, count: positions.count * half), [Float](repeating: 0, count: positions.count * half)
        )
        cosines.withUnsafeMutableBufferPointer { cosines in
            sines.withUnsafeMutableBufferPointer { sines in
                if let cosines = cosines.baseAddress, let sines = sines.baseAddress {
                    copy(positions, cosines: cosines, sines: sines)
                }
            }
        }
        return (cosines, sines)
    }
}
