import PithCore
import PithFormats
import PithTensor
import Synchronization

/// Cosines and sines of the rotary angles of a model, computed once for each position.
package final class RotaryTable: Sendable {
    /// Elements of a head.
    let headDimension: Int
    /// Angles of one position: half the elements that are turned.
    let half: Int
    private let options: RotaryOptions
    // The angles that hold up to a length, position after position its cosines, then its sines; by the scale of that
    // length. Those of lengths that have a scale each are not kept.
    private let angles = Mutex<[RotaryScaling.Stage: [Float]]>([:])

    /// An empty table.
    package init(_ options: RotaryOptions) {
        (self.options, headDimension, half) = (options, options.headDimension, options.rotatedSize / 2)
    }

    /// Writes cosines and sines, [positions, half] each, of some positions, the last that were read of their text.
    func copy(
        _ positions: Range<Int>, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>
    ) {
        let stage = options.scaling.stage(ofLength: positions.upperBound)
        angles.withLock { tables in
            let isKept = stage != .length(positions.upperBound)
            var table = tables[stage] ?? []
            let first = isKept ? 0 : positions.lowerBound
            extend(&table, from: first, to: positions.upperBound, stage)
            table.withUnsafeBufferPointer { table in
                guard let base = table.baseAddress else { return }
                for (row, position) in positions.enumerated() {
                    let source = base + 2 * half * (position - first)
                    (cosines + row * half).update(from: source, count: half)
                    (sines + row * half).update(from: source + half, count: half)
                }
            }
            if isKept { tables[stage] = table }
        }
    }

    /// Appends the angles of positions up to `end` to a table that begins at `first`.
    private func extend(_ table: inout [Float], from first: Int, to end: Int, _ stage: RotaryScaling.Stage) {
        let begin = first + table.count / (2 * half)
        guard begin < end else { return }
        let frequencies = options.scaling.inverseFrequencies(size: 2 * half, theta: options.theta, stage: stage)
        let amplitude = options.scaling.amplitude
        for position in begin..<end {
            let turns = frequencies.map { Double(Float(position) * $0) }
            table += turns.map { Float(cosine($0)) * amplitude }
            table += turns.map { Float(sine($0)) * amplitude }
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
