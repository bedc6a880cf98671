/// Looks at bytes to see what they are.
package enum ContentDetection {
    // Bytes that are looked at.
    private static let sampleSize = 1 << 20

    /// Text or binary; of binary data the length of records.
    package static func settings(for input: [UInt8], effort: MixSettings.Effort) -> MixSettings {
        let sample = input.prefix(sampleSize)
        if isText(sample) { return MixSettings(effort: effort, content: .text, width: 0) }
        if let content = MachineCode.content(of: sample) {
            return MixSettings(effort: effort, content: content, width: content == .arm64 ? 4 : 0)
        }
        let width = recordLength(Array(sample))
        if isBilevel(sample), width > 8 { return MixSettings(effort: effort, content: .image1, width: width) }
        return MixSettings(effort: effort, content: .binary, width: width)
    }

    /// Few bytes that no text has. Text for a terminal has more of them than other text, but no zeros.
    private static func isText(_ sample: ArraySlice<UInt8>) -> Bool {
        let strange = sample.count { $0 < 32 && $0 != 10 && $0 != 13 && $0 != 9 && $0 != 12 || $0 == 127 }
        let high = sample.count { $0 >= 128 }
        if strange * 50 <= sample.count && high * 3 <= sample.count { return true }
        let zeros = sample.count { $0 == 0 }
        return strange * 8 <= sample.count && high * 50 <= sample.count && zeros * 1000 <= sample.count
    }

    /// Long runs of eight equal pixels.
    private static func isBilevel(_ sample: ArraySlice<UInt8>) -> Bool {
        sample.count { $0 == 0 || $0 == 255 } * 10 > sample.count * 7
    }

    /// The distance at which bytes are most alike, if they are much more so than at others; else 0.
    static func recordLength(_ sample: [UInt8]) -> Int {
        let largest = min(4096, sample.count / 8)
        guard largest >= 2 else { return 0 }
        var scores = [Int](repeating: 0, count: largest + 1)
        // Positions at which a byte came last.
        var lastPlace = [Int](repeating: -1, count: 256 * 256)
        // A pair of bytes is a better sign than one; runs tell nothing.
        for index in 1..<sample.count where sample[index] != sample[index - 1] || sample[index] != 0 {
            let pair = Int(sample[index - 1]) << 8 | Int(sample[index])
            let distance = index - lastPlace[pair]
            if lastPlace[pair] >= 0 && distance <= largest && distance > 1 { scores[distance] += 1 }
            lastPlace[pair] = index
        }
        guard let best = scores.indices.max(by: { scores[$0] < scores[$1] }), best >= 2 else { return 0 }
        let others = scores.reduce(0, +) - scores[best]
        return scores[best] * 12 > others ? best : 0
    }
}
