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
        let size = 1 << bits
        // At most `bits` bits for each symbol and state, a mark, and what `BitSink` writes beyond its end.
        let capacity = (symbols.count + 2) * bits / 8 + 16
        return [UInt8](unsafeUninitializedCapacity: capacity) { bytes, count in
            var sink = BitSink(end: UnsafeMutableRawPointer(bytes.baseAddress!))
            // States of even and of odd symbols, above the table's size.
            var (even, odd) = (size, size)
            exits.withUnsafeBufferPointer { exits in
                successors.withUnsafeBufferPointer { successors in
                    let (exits, successors) = (exits.baseAddress!, successors.baseAddress!)
                    @inline(__always) func turn(_ state: inout Int, _ symbol: UInt8) {
                        let exit = exits[Int(symbol)]
                        assert(exit.threshold > 0, "symbol \(symbol) has no frequency")
                        let left = exit.mostBits &- (state >= exit.threshold ? 0 : 1)
                        sink.write(UInt64(state & (1 &<< left &- 1)), count: left)
                        state = size &+ Int(successors[exit.offset &+ state &>> left])
                    }
                    var index = symbols.count
                    if index & 1 == 1 {
                        index -= 1
                        turn(&even, symbols[index])
                    }
                    while index > 0 {
                        turn(&odd, symbols[index &- 1])
                        turn(&even, symbols[index &- 2])
                        sink.flush()
                        index &-= 2
                    }
                }
            }
            sink.flush()
            sink.write(
                UInt64(odd - size) | UInt64(even - size) << UInt64(bits) | 1 << UInt64(2 * bits), count: 2 * bits + 1)
            sink.flush()
            count = sink.end - UnsafeMutableRawPointer(bytes.baseAddress!) + (sink.filled > 0 ? 1 : 0)
        }
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
        var index = decodePairs(block, count, target, &even, &odd, &position)
        while index < count {
            let here = states[index & 1 == 0 ? even : odd]
            target[index] = here.symbol
            guard position >= Int(here.bits) else { throw .truncated(at: 0) }
            let next = Int(here.base) + read(Int(here.bits))
            if index & 1 == 0 { even = next } else { odd = next }
            index += 1
        }
        guard position == 0, even == 0, odd == 0 else {
            throw .invalidStream("the states do not end where they were begun")
        }
    }

    /// Four symbols at a time while eight bytes can be read before the position. Returns the symbols done.
    private func decodePairs(
        _ block: UnsafeRawBufferPointer, _ count: Int, _ target: UnsafeMutablePointer<UInt8>, _ evenState: inout Int,
        _ oddState: inout Int, _ ahead: inout Int
    ) -> Int {
        var (even, odd, position, index) = (evenState, oddState, ahead, 0)
        states.withUnsafeBufferPointer { states in
            let (states, base) = (states.baseAddress!, block.baseAddress!)
            while index + 4 <= count && position >= 64 {
                // The 57 bits or more that end at the position, the next ones highest.
                let end = (position &+ 7) &>> 3
                var window = UInt64(littleEndian: (base + (end &- 8)).loadUnaligned(as: UInt64.self))
                window &<<= UInt64(truncatingIfNeeded: 8 &* end &- position)
                @inline(__always) func turn(_ state: inout Int, _ symbol: UnsafeMutablePointer<UInt8>) {
                    let here = states[state]
                    symbol.pointee = here.symbol
                    // Two shifts: there may be no bits to read.
                    let rest = (window &>> 1) &>> (63 &- UInt64(here.bits))
                    state = Int(here.base) &+ Int(truncatingIfNeeded: rest)
                    window &<<= UInt64(here.bits)
                    position &-= Int(here.bits)
                }
                turn(&even, target + index)
                turn(&odd, target + index + 1)
                turn(&even, target + index + 2)
                turn(&odd, target + index + 3)
                index &+= 4
            }
        }
        (evenState, oddState, ahead) = (even, odd, position)
        return index
    }
}

/// Appends bits to memory; up to eight bytes behind the end are overwritten.
private struct BitSink {
    var end: UnsafeMutableRawPointer
    private(set) var filled: UInt64 = 0
    private var window: UInt64 = 0

    init(end: UnsafeMutableRawPointer) { self.end = end }

    /// Between two flushes no more than 57 bits.
    @inline(__always)
    mutating func write(_ value: UInt64, count: Int) {
        window |= value &<< filled
        filled &+= UInt64(truncatingIfNeeded: count)
    }

    @inline(__always)
    mutating func flush() {
        end.storeBytes(of: window.littleEndian, as: UInt64.self)
        end += Int(filled &>> 3)
        window &>>= filled & ~7
        filled &= 7
    }
}
