import PithCoding
import PithCore
import PithPredictors
import PithTensor
import Testing

/// Programs: their calls as places, and archives of them.
struct MachineCodeTests {
    private static let context = CodingContext(pool: ThreadPool(threads: 1))

    /// Functions that call each other, as a machine would have them: for x86 with its usual prologue.
    private static func program(_ machine: MixSettings.Content, count: Int) -> [UInt8] {
        var (bytes, random) = ([UInt8](), SeededGenerator(seed: 4))
        let targets = (0..<20).map { 64 + 64 * $0 }
        while bytes.count < count {
            let target = targets[Int(random.next() % 20)]
            switch machine {
            case .arm64:
                append((UInt32(bitPattern: Int32(target - bytes.count) >> 2) & 0x3FF_FFFF) | 0x9400_0000, to: &bytes)
                append(0xAA00_03E0 | UInt32(random.next() % 8) << 16, to: &bytes)
                append(0xF940_0000 | UInt32(random.next() % 64) << 10, to: &bytes)
            default:
                bytes += machine == .x64 ? [0x48, 0x89, 0xC0 | UInt8(random.next() % 8)] : [0x8B, 0x45]
                bytes += [0x83, 0xF8, UInt8(random.next() % 16), 0x0F, 0x84]
                append(UInt32(bitPattern: Int32(targets[Int(random.next() % 20)] - bytes.count - 4)), to: &bytes)
                bytes.append(0xE8)
                append(UInt32(bitPattern: Int32(target - bytes.count - 4)), to: &bytes)
            }
        }
        return bytes
    }

    private static func append(_ word: UInt32, to bytes: inout [UInt8]) {
        for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(8 * shift))) }
    }

    @Test(arguments: [MixSettings.Content.x86, .x64, .arm64]) func programsAreKnown(machine: MixSettings.Content) {
        #expect(MachineCode.content(of: Self.program(machine, count: 4000)[...]) == machine)
        var random = SeededGenerator(seed: 2)
        let noise = (0..<40_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        #expect(MachineCode.content(of: noise[...]) == nil)
        #expect(MachineCode.content(of: [UInt8](repeating: 0, count: 4000)[...]) == nil)
        for count in 0..<8 { #expect(MachineCode.content(of: noise[..<count]) == nil) }
    }

    /// Any bytes come back, also those that only look like calls, and those behind others.
    @Test(arguments: [MixSettings.Content.x86, .x64, .arm64]) func placesBecomeDistancesAgain(
        machine: MixSettings.Content
    ) {
        let likely: [UInt8] = [0xE8, 0xE9, 0x0F, 0x84, 0x48, 0x8B, 0x05, 0xFF, 0x15, 0, 0, 255, 255, 0x94, 0x97, 0x4C]
        for seed in 0..<300 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let bytes = (0..<Int(seed)).map { _ in likely[Int(random.next() % 16)] }
            var coded = bytes
            MachineCode.makeAbsolute(&coded, machine)
            var opened: [UInt8] = [0xE8, 1, 2] + coded
            MachineCode.makeRelative(&opened, machine, from: 3)
            #expect(opened == [0xE8, 1, 2] + bytes, "\(machine), seed \(seed)")
        }
        let bytes = Self.program(machine, count: 3000)
        var coded = bytes
        MachineCode.makeAbsolute(&coded, machine)
        #expect(coded != bytes)
    }

    @Test(arguments: [MixSettings.Content.x86, .x64, .arm64]) func programsComeBackSmaller(
        machine: MixSettings.Content
    ) throws {
        let bytes = Self.program(machine, count: 12_000)
        func coded(_ spec: String) throws -> [UInt8] {
            let method = try DataCatalogue.method(for: Spec(parsing: spec))
            let coded = try method.encode(bytes, Self.context)
            var opened: [UInt8] = []
            try method.decode(CodedPayload(coded), count: bytes.count, into: &opened, Self.context)
            #expect(opened == bytes, "\(spec)")
            return coded
        }
        let (known, plain) = (try coded("mix"), try coded("mix:content=binary"))
        #expect(known == (try coded("mix:content=\(machine.name)" + (machine == .arm64 ? ",width=4" : ""))))
        #expect(known.count * 10 < plain.count * 9, "\(known.count) of \(plain.count) bytes")
    }

    /// Of a program that was cut, what is given is right.
    @Test(arguments: [MixSettings.Content.x86, .x64, .arm64]) func cutProgramsAreRightAsFarAsTheyGo(
        machine: MixSettings.Content
    ) {
        let bytes = Self.program(machine, count: 400)
        var coded = bytes
        MachineCode.makeAbsolute(&coded, machine)
        for length in 0..<400 {
            var opened = Array(coded.prefix(length))
            let known = MachineCode.makeRelative(&opened, machine, from: 0)
            #expect(known <= length && known > length - 11 && bytes.starts(with: opened[..<known]), "\(length) bytes")
        }
    }

    /// Instructions of known lengths leave the reader at the beginning of the next.
    @Test(
        arguments: [
            [0x90], [0x55], [0x48, 0x89, 0xE5], [0xB8, 1, 2, 3, 4], [0x48, 0xB8, 1, 2, 3, 4, 5, 6, 7, 8],
            [0x66, 0xB8, 1, 2], [0x8B, 0x44, 0x24, 8], [0x8B, 0x84, 0x24, 1, 2, 3, 4], [0x8B, 0x05, 1, 2, 3, 4],
            [0x8B, 0x04, 0x25, 1, 2, 3, 4], [0xF7, 0xC0, 1, 2, 3, 4], [0xF7, 0xD0], [0xF6, 0xC1, 1],
            [0x83, 0x7D, 0xFC, 5],
            [0xC7, 0x45, 0xF8, 1, 2, 3, 4], [0x0F, 0x84, 1, 2, 3, 4], [0x0F, 0xB6, 0xC0], [0x0F, 0x05],
            [0xE8, 1, 2, 3, 4],
            [0x66, 0x0F, 0x3A, 0x0F, 0xC1, 8], [0x0F, 0x38, 0x00, 0xC1], [0xC5, 0xF8, 0x28, 0xC1],
            [0xC4, 0xE2, 0x79, 0x18, 0x05, 1, 2, 3, 4], [0x69, 0xC0, 1, 2, 3, 4], [0xC2, 8, 0], [0xEB, 0xFE],
        ] as [[UInt8]]) func instructionsEndWhereTheyEnd(bytes: [UInt8])
    {
        var reader = InstructionReader(is64: true)
        for (index, byte) in bytes.enumerated() {
            #expect(index == 0 || reader.last == 0, "byte \(index) of \(bytes)")
            reader.read(byte)
        }
        #expect(reader.part == .start && reader.last != 0, "\(bytes)")
    }
}
