/// Machine code of x86: what of an instruction is known, behind those before it.
struct InstructionContexts {
    private let isUsed: Bool
    private var reader: InstructionReader
    // The last bytes of displacements by registers and modes.
    private let displacements: UnsafeMutablePointer<UInt32>
    private var displacementPlace = 0

    init(_ settings: MixSettings, _ arena: Arena) {
        isUsed = settings.content.isX86
        reader = InstructionReader(is64: settings.content == .x64)
        displacements = arena.allocate(isUsed ? 1 << 12 : 0)
    }

    var count: Int { isUsed ? 14 : 0 }

    /// The part of an instruction that comes next, 0 to 31.
    var partClass: Int { Int(reader.part.rawValue) << 2 | min(reader.missing, 3) }
    /// Its opcode or the last one, 0 to 255.
    var opcodeClass: Int { Int(reader.opcode == 0 ? reader.opcodes & 255 : reader.opcode & 255) }

    /// The part, and the opcode of the instruction before.
    var view: UInt64 { Hash.combine(UInt64(partClass), reader.opcodes & 0xFF) }

    /// Reads the last byte, and adds the contexts of the next.
    mutating func add(_ history: History, to bank: inout ContextBank) {
        guard isUsed else { return }
        if history.position > 0 { read(UInt8(history.byte(1))) }
        let part = reader.part.rawValue << 3 | UInt64(min(reader.missing, 7))
        let place = Hash.combine(reader.opcode << 16 | reader.modifier, part)
        let soFar = Hash.combine(reader.soFar, part)
        let one = reader.opcodes & 0xFF
        bank.add(Hash.combine(place, UInt64(1)))
        bank.add(Hash.combine(place, one | 1 << 32))
        bank.add(Hash.combine(place, reader.opcodes & 0xFF_FFFF | 2 << 32))
        bank.add(Hash.combine(place, reader.opcodes & 0xFF_FFFF_FFFF))
        bank.add(Hash.combine(soFar, UInt64(2)))
        bank.add(Hash.combine(soFar, one | 3 << 32))
        bank.add(Hash.combine(soFar, reader.opcodes & 0xFFFF | 4 << 32))
        bank.add(Hash.combine(soFar, reader.forms & 0xFFFF))
        bank.add(Hash.combine(soFar, reader.forms & 0xFFFF_FFFF))
        bank.add(Hash.combine(soFar, reader.forms & 0xFFFF_FFFF_FFFF))
        bank.add(Hash.combine(soFar, reader.last))
        bank.add(Hash.combine(soFar, Hash.combine(reader.last, reader.beforeLast)))
        bank.add(Hash.combine(part, Hash.combine(UInt64(displacements[displacementPlace]), history.lastBytes(1))))
        bank.add(Hash.combine(Hash.combine(part, reader.opcode), history.lastBytes(3)))
    }

    private mutating func read(_ byte: UInt8) {
        if reader.part == .displacement || reader.part == .immediate {
            displacements[displacementPlace] = displacements[displacementPlace] << 8 | UInt32(byte)
        }
        reader.read(byte)
        displacementPlace = Int(Hash.combine(reader.opcode, reader.modifier & 0xC7) >> 52)
    }
}
