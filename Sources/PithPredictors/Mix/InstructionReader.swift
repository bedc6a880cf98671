/// Follows the instructions of x86 byte by byte: which part of one comes next, and what those before were.
package struct InstructionReader {
    /// A part of an instruction.
    package enum Part: UInt64 {
        case start, secondOpcode, thirdOpcode, vector, modifier, scale, displacement, immediate
    }

    private let is64: Bool
    /// What comes next.
    package private(set) var part = Part.start
    /// Bytes of a displacement, an immediate or a vector prefix that are missing.
    private(set) var missing = 0
    /// The map and the opcode of the instruction, 0 before they are known.
    private(set) var opcode: UInt64 = 0
    /// Its byte of registers and modes, and a one before it; 0 if there was none.
    private(set) var modifier: UInt64 = 0
    /// A hash of all its bytes so far.
    private(set) var soFar: UInt64 = 0
    /// The opcodes of the last eight instructions, the newest lowest.
    private(set) var opcodes: UInt64 = 0
    /// The same with modes and registers, of the last four.
    private(set) var forms: UInt64 = 0
    /// Hashes of the last two instructions.
    package private(set) var last: UInt64 = 0
    private(set) var beforeLast: UInt64 = 0
    private var map: UInt64 = 0
    private var isShort = false
    private var isWide = false
    private var immediate = 0

    package init(is64: Bool) { self.is64 = is64 }

    /// Reads the next byte.
    package mutating func read(_ byte: UInt8) {
        soFar = Hash.combine(soFar, UInt64(byte) | 256)
        switch part {
        case .start: readStart(byte)
        case .secondOpcode: readSecond(byte)
        case .thirdOpcode: readOpcode(byte, hasModifier: true, immediate: map == 3 ? 1 : 0)
        case .vector:
            if missing == 2 { map = UInt64(byte & 3) }
            missing -= 1
            // Behind its prefix stands the opcode, of the map that it names.
            if missing == 0 { part = map > 1 ? .thirdOpcode : .secondOpcode }
        case .modifier: readModifier(byte)
        case .scale:
            if byte & 7 == 5 && modifier & 0xC0 == 0 { missing = 4 }
            beginOperands()
        case .displacement, .immediate:
            missing -= 1
            guard missing == 0 else { return }
            if part == .displacement { beginImmediate() } else { finish() }
        }
    }

    private mutating func readStart(_ byte: UInt8) {
        switch byte {
        case 0x0F: (part, map) = (.secondOpcode, 1)
        case 0x66: isShort = true
        case 0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x67: break
        case 0x40...0x4F where is64: isWide = byte & 8 != 0
        case 0xC4 where is64: (part, missing) = (.vector, 2)
        case 0xC5 where is64: (part, missing, map) = (.vector, 1, 1)
        default: readOpcode(byte, hasModifier: Self.hasModifier(byte), immediate: immediateOf(byte))
        }
    }

    private mutating func readSecond(_ byte: UInt8) {
        switch byte {
        case 0x38: (part, map) = (.thirdOpcode, 2)
        case 0x3A: (part, map) = (.thirdOpcode, 3)
        case 0x80...0x8F: readOpcode(byte, hasModifier: false, immediate: isShort ? 2 : 4)
        case 0x05...0x09, 0x0B, 0x30...0x37, 0x77, 0xA0...0xA2, 0xA8...0xAA, 0xC8...0xCF:
            readOpcode(byte, hasModifier: false, immediate: 0)
        case 0x70...0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4...0xC6: readOpcode(byte, hasModifier: true, immediate: 1)
        default: readOpcode(byte, hasModifier: true, immediate: 0)
        }
    }

    private mutating func readOpcode(_ byte: UInt8, hasModifier: Bool, immediate: Int) {
        (opcode, self.immediate) = (map << 8 | UInt64(byte), immediate)
        if hasModifier { part = .modifier } else { beginImmediate() }
    }

    private mutating func readModifier(_ byte: UInt8) {
        modifier = UInt64(byte) | 256
        // Two groups have an immediate in their tests only.
        if opcode & ~1 == 0xF6, byte & 0x38 < 0x10 { immediate = opcode == 0xF6 ? 1 : isShort ? 2 : 4 }
        switch (byte >> 6, byte & 7) {
        case (0, 5), (2, _): missing = 4
        case (1, _): missing = 1
        default: missing = 0
        }
        if byte >> 6 != 3 && byte & 7 == 4 { part = .scale } else { beginOperands() }
    }

    private mutating func beginOperands() {
        if missing > 0 { part = .displacement } else { beginImmediate() }
    }

    private mutating func beginImmediate() {
        (part, missing) = (.immediate, immediate)
        if immediate == 0 { finish() }
    }

    private mutating func finish() {
        opcodes = opcodes << 8 | (opcode ^ (opcode >> 8) << 7) & 255
        forms = forms << 16 | (opcode ^ modifier << 6) & 0xFFFF
        (beforeLast, last) = (last, soFar)
        (part, missing, opcode, modifier, soFar, map, isShort, isWide) = (.start, 0, 0, 0, 0, 0, false, false)
    }

    private static func hasModifier(_ byte: UInt8) -> Bool {
        switch byte {
        case 0..<0x40: byte & 4 == 0
        case 0x62, 0x63, 0x69, 0x6B, 0x80...0x8F, 0xC0, 0xC1, 0xC4...0xC7, 0xD0...0xD3, 0xD8...0xDF: true
        case 0xF6, 0xF7, 0xFE, 0xFF: true
        default: false
        }
    }

    private func immediateOf(_ byte: UInt8) -> Int {
        let long = isShort ? 2 : 4
        switch byte {
        case 0..<0x40: return byte & 7 == 4 ? 1 : byte & 7 == 5 ? long : 0
        case 0x68, 0x69, 0x81, 0xA9, 0xC7, 0xE8, 0xE9: return long
        case 0x6A, 0x6B, 0x70...0x7F, 0x80, 0x82, 0x83, 0xA8, 0xB0...0xB7, 0xC0, 0xC1, 0xC6, 0xCD, 0xD4, 0xD5: return 1
        case 0xE0...0xE7, 0xEB: return 1
        case 0xA0...0xA3: return is64 ? 8 : 4
        case 0xB8...0xBF: return isWide ? 8 : long
        case 0xC2, 0xCA: return 2
        case 0xC8: return 3
        case 0xEA: return 6
        default: return 0
        }
    }
}
