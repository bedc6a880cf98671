/// Programs with places in them where machine code has distances: what is called from everywhere is then written
/// everywhere alike.
///
/// Both directions walk over the same instructions: what decides whether an operand is converted stays as it is.
package enum MachineCode {
    /// For which machine a sample has many calls and jumps, most of them to places that are near; nil if for none.
    package static func content(of sample: ArraySlice<UInt8>) -> MixSettings.Content? {
        let bytes = Array(sample)
        return isForARM(bytes) ? .arm64 : contentForX86(bytes)
    }

    private static func contentForX86(_ bytes: [UInt8]) -> MixSettings.Content? {
        var (near, far, wide) = (0, 0, 0)
        for place in bytes.indices.dropLast(4) {
            // Calls and jumps; moves, sums and comparisons of 64 bits, whose prefix begins other instructions elsewhere.
            if bytes[place] & 0xFE == 0xE8 {
                if isNear(bytes, place + 1) { near += 1 } else { far += 1 }
            } else if bytes[place] == 0x48, [0x01, 0x39, 0x83, 0x85, 0x89, 0x8B, 0x8D].contains(bytes[place + 1]) {
                wide += 1
            }
        }
        guard near * 300 > bytes.count, near > far else { return nil }
        return wide * 4 > near ? .x64 : .x86
    }

    private static func isForARM(_ bytes: [UInt8]) -> Bool {
        var (near, far) = (0, 0)
        for place in stride(from: 0, to: bytes.count - 3, by: 4) where bytes[place + 3] >> 2 == 0x25 {
            // The highest bits of a distance are its sign.
            let high = (bytes[place + 3] & 3) << 1 | bytes[place + 2] >> 7
            if high == 0 || high == 7 { near += 1 } else { far += 1 }
        }
        return near * 200 > bytes.count && near > 4 * far
    }

    /// Makes distances in a program for `machine` places.
    package static func makeAbsolute(_ bytes: inout [UInt8], _ machine: MixSettings.Content) {
        _ = convert(&bytes, machine, from: 0, sign: 1)
    }

    /// Makes places in `bytes` from `start` on the distances that they were. Of a program that is cut, bytes are right up
    /// to the offset that is returned.
    @discardableResult
    package static func makeRelative(
        _ bytes: inout [UInt8], _ machine: MixSettings.Content, from start: Int
    ) -> Int {
        convert(&bytes, machine, from: start, sign: -1)
    }

    /// Returns where it ended: what follows is too short for an instruction with a distance.
    private static func convert(
        _ bytes: inout [UInt8], _ machine: MixSettings.Content, from start: Int, sign: Int32
    ) -> Int {
        switch machine {
        case .x86, .x64: convertX86(&bytes, machine == .x64, from: start, sign: sign)
        case .arm64: convertARM(&bytes, from: start, sign: sign)
        default: bytes.count
        }
    }

    /// Calls: 26 bits that count words.
    private static func convertARM(_ bytes: inout [UInt8], from start: Int, sign: Int32) -> Int {
        for place in stride(from: start, to: bytes.count - 3, by: 4) where bytes[place + 3] >> 2 == 0x25 {
            let moved = word(bytes, place) &+ sign &* Int32(truncatingIfNeeded: (place - start) / 4)
            write(moved & 0x3FF_FFFF | 0x25 << 26, to: &bytes, place)
        }
        return bytes.count - (bytes.count - start) % 4
    }

    private static func convertX86(_ bytes: inout [UInt8], _ is64: Bool, from start: Int, sign: Int32) -> Int {
        var place = start
        while place + 7 <= bytes.count {
            guard let operand = operand(bytes, place, is64) else {
                place += 1
                continue
            }
            // Also what stays is passed over, so that nothing is looked at later that was changed.
            place = operand + 4
            guard isNear(bytes, operand) else { continue }
            let moved = word(bytes, operand) &+ sign &* Int32(truncatingIfNeeded: place - start)
            // 25 bits with their sign: near places stay near ones.
            write((moved << 7) >> 7, to: &bytes, operand)
        }
        return min(place, bytes.count)
    }

    /// Where the distance of the instruction at `place` is.
    private static func operand(_ bytes: [UInt8], _ place: Int, _ is64: Bool) -> Int? {
        switch bytes[place] {
        case 0xE8, 0xE9: return place + 1
        case 0x0F: return bytes[place + 1] & 0xF0 == 0x80 ? place + 2 : nil
        case 0xFF: return is64 && [0x15, 0x25, 0x35].contains(bytes[place + 1]) ? place + 2 : nil
        case 0x40...0x4F where is64:
            // What reads, writes or points to data at a distance from the instruction.
            guard [0x03, 0x2B, 0x33, 0x39, 0x3B, 0x63, 0x85, 0x89, 0x8B, 0x8D].contains(bytes[place + 1]) else {
                return nil
            }
            return bytes[place + 2] & 0xC7 == 5 ? place + 3 : nil
        default: return nil
        }
    }

    private static func isNear(_ bytes: [UInt8], _ operand: Int) -> Bool {
        bytes[operand + 3] == 0 || bytes[operand + 3] == 255
    }

    private static func word(_ bytes: [UInt8], _ place: Int) -> Int32 {
        Int32(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) })
    }

    private static func write(_ word: Int32, to bytes: inout [UInt8], _ place: Int) {
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: word >> Int32(8 * index)) }
    }
}
