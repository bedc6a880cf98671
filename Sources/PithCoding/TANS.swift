import PithCore

/// tANS: the arithmetic of rANS laid down in tables, so that a symbol costs one look and a shift.
///
/// Two states take turns. The encoder works backwards and writes bits forwards, the decoder reads them from the end:
/// a one bit that marks it, the two states, then what each symbol left over. Both states end where they were begun,
/// at 0, with no bit left, which tells damage.
public struct TANS: Sendable {
    private let bits: Int
    // By state: symbol, bits to read, and the state that they are added to.
    private let states: [Transition]
    // By symbol: the most bits that it leaves over, below what state it leaves one less, where its states begin.
    private let exits: [Exit]
    // By symbol and rest of a state: the next state.
    private let successors: [UInt16]

    private struct Transition {
        var base: UInt16
        var bits: UInt8
        var symbol: UInt8
    }

    private struct Exit {
        var mostBits = 0
        var threshold = 0
        var offset = 0
    }

    /// Prepares to code with a table of frequencies; its total is the number of states.
    public init(_ table: FrequencyTable) {
        bits = table.bits
        let size = 1 << bits
        // Symbols are spread over the states by steps of about 5/8 of the table, an odd number.
        var (symbols, place) = ([UInt8](repeating: 0, count: size), 0)
        for (symbol, frequency) in table.frequencies.enumerated() {
            for _ in 0..<frequency {
                symbols[place] = UInt8(symbol)
                place = (place + (size * 5 / 8 | 1)) & (size - 1)
            }
        }
        var next = table.frequencies.map { Int($0) }
        var (states, successors) = ([Transition](), [UInt16](repeating: 0, count: size))
        exits = (0..<256).map { symbol in
            let frequency = Int(table.frequencies[symbol])
            guard frequency > 0 else { return Exit() }
            let most = table.bits - (Int.bitWidth - 1 - frequency.leadingZeroBitCount)
            return Exit(
                mostBits: most, threshold: frequency << most, offset: Int(table.starts[symbol]) - frequency)
        }
        for (state, symbol) in symbols.enumerated() {
            // The rest that leads here lies in [frequency, 2 · frequency).
            let rest = next[Int(symbol)]
            next[Int(symbol)] += 1
            successors[exits[Int(symbol)].offset + rest] = UInt16(state)
            let taken = bits - (Int.bitWidth - 1 - rest.leadingZeroBitCount)
            states.append(Transition(base: UInt16(rest << taken - size), bits: UInt8(taken), symbol: symbol))
        }
        (self.states, self.successors) = (states, successors)
    }

    /// Codes a block; every symbol must have a frequency.
    public func encode(_ symbols: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var (stream, size) = (BitWriter(), 1 << bits)
        // States of even and of odd symbols, above the table's size.
        var (even, odd) = (size, size)
        for index in symbols.indices.reversed() {
            let exit = exits[Int(symbols[index])]
            assert(exit.threshold > 0, "symbol \(symbols[index]) has no frequency")
            let state = index & 1 == 0 ? even : odd
            let left = state >= exit.threshold ? exit.mostBits : exit.mostBits - 1
            stream.write(UInt64(state & (1 << left - 1)), count: left)
            let next = size + Int(successors[exit.offset + state >> left])
            if index & 1 == 0 { even = next } else { odd = next }
        }
        size -= 1
        stream.write(UInt64(odd & size), count: bits)
        stream.write(UInt64(even & size), count: bits)
        stream.write(1, count: 1)
        return stream.finish()
    }

    /// Codes a block; every symbol must have a frequency.
    public func encode(_ symbols: [UInt8]) -> [UInt8] { symbols.withUnsafeBufferPointer { encode($0) } }

    /// Decodes a block of `count` symbols into `target`; throws unless the block ends as it was begun.
    public func decode(
        _ block: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        guard let last = block.last, last != 0 else { throw .truncated(at: block.count) }
        // Bits that are still ahead, the mark taken.
        var position = block.count * 8 - last.leadingZeroBitCount - 1
        guard position >= 2 * bits else { throw .truncated(at: 0) }
        func read(_ count: Int) -> Int {
            position -= count
            return Int(block.word(at: position >> 3) &>> UInt64(position & 7) & (1 << UInt64(count) - 1))
        }
        var even = read(bits)
        var odd = read(bits)
        try states.withUnsafeBufferPointer { (states) throws(PithError) in
            var index = 0
            while index + 2 <= count && position >= 2 * bits {
                let (first, second) = (states[even], states[odd])
                target[index] = first.symbol
                target[index + 1] = second.symbol
                even = Int(first.base) + read(Int(first.bits))
                odd = Int(second.base) + read(Int(second.bits))
                index += 2
            }
            while index < count {
                let here = states[index & 1 == 0 ? even : odd]
                target[index] = here.symbol
                guard position >= Int(here.bits) else { throw .truncated(at: 0) }
                let next = Int(here.base) + read(Int(here.bits))
                if index & 1 == 0 { even = next } else { odd = next }
                index += 1
            }
        }
        guard position == 0, even == 0, odd == 0 else {
            throw .invalidStream("the states do not end where they were begun")
        }
    }
}
