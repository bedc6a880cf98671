import PithCore

/// How likely each of the 256 bytes is: frequencies that add up to 2^`bits`, at least 1 for each symbol that occurs.
public struct FrequencyTable: Sendable, Equatable {
    /// The total is 2^`bits`.
    public let bits: Int
    /// Frequencies by symbol, [256]; 0 for symbols that do not occur.
    public let frequencies: [UInt32]
    /// For each symbol the frequencies of all before it, [256].
    public let starts: [UInt32]

    /// The permitted `bits`: 256 symbols must find room, and states of 32 bits must hold the total twice.
    public static let bitsRange = 8...14

    /// Takes frequencies, [256], that add up to 2^bits.
    public init(frequencies: [UInt32], bits: Int) throws(PithError) {
        guard Self.bitsRange.contains(bits), frequencies.count == 256 else {
            throw .data(
                "\(frequencies.count) frequencies of \(bits) bits", remedy: "256 of 8 to 14 bits are coded with")
        }
        var (starts, sum) = ([UInt32](), UInt64(0))
        for frequency in frequencies {
            starts.append(UInt32(truncatingIfNeeded: sum))
            sum += UInt64(frequency)
        }
        guard sum == 1 << UInt64(bits) else {
            throw .data("frequencies add up to \(sum)", remedy: "their sum should be \(1 << bits)")
        }
        (self.bits, self.frequencies, self.starts) = (bits, frequencies, starts)
    }

    /// Scales counts, [256], to a total of 2^bits so that the coded length is nearly the shortest; nil if all are 0.
    public init?(counts: [Int], bits: Int) {
        precondition(counts.count == 256 && Self.bitsRange.contains(bits), "256 counts and 8 to 14 bits")
        let total = counts.reduce(0, +)
        guard total > 0 else { return nil }
        // Rounded down, at least 1.
        var frequencies = counts.map { count in
            count == 0 ? 0 : UInt32(max(1, (count << bits) / total))
        }
        var rest = (1 << bits) - frequencies.reduce(0) { $0 + Int($1) }
        while rest != 0 {
            // One more where it shortens the code most, or one less where it costs least.
            let step = rest > 0 ? 1 : -1
            var (best, gain) = (-1, -Double.infinity)
            for (symbol, frequency) in frequencies.enumerated() where counts[symbol] > 0 {
                guard step > 0 || frequency > 1 else { continue }
                let here = Double(counts[symbol]) * relativeGain(Int(frequency), step)
                if here > gain { (best, gain) = (symbol, here) }
            }
            frequencies[best] = UInt32(Int(frequencies[best]) + step)
            rest -= step
        }
        guard let table = try? Self(frequencies: frequencies, bits: bits) else { return nil }
        self = table
    }

    /// The coded length in bits of symbols with these counts, as long as those have frequencies.
    public func codedBits(of counts: [Int]) -> Int {
        var sum = 0
        for (count, frequency) in zip(counts, frequencies) where count > 0 {
            sum += count * (bits << FixedPoint.fractionBits - FixedPoint.log2(UInt64(frequency)))
        }
        return sum >> FixedPoint.fractionBits
    }
}

/// About ln((f + step) / f), by which the code of a symbol of frequency f gets shorter: exact arithmetic of one
/// division, so that the choice is the same everywhere.
private func relativeGain(_ frequency: Int, _ step: Int) -> Double {
    2 * Double(step) / Double(2 * frequency + step)
}

extension FrequencyTable {
    /// As bytes: bits, first and last symbol, then each frequency in 7 bits a byte, the last byte without its top bit.
    public var serialized: [UInt8] {
        let first = frequencies.firstIndex { $0 > 0 } ?? 0
        let last = frequencies.lastIndex { $0 > 0 } ?? 0
        var bytes = [UInt8(bits), UInt8(first), UInt8(last)]
        for frequency in frequencies[first...last] {
            if frequency >= 128 { bytes.append(UInt8(truncatingIfNeeded: frequency & 127 | 128)) }
            bytes.append(UInt8(truncatingIfNeeded: frequency >= 128 ? frequency >> 7 : frequency))
        }
        return bytes
    }

    /// Reads a table from the front of `bytes`; `offset` moves behind it.
    public init(serialized bytes: UnsafeRawBufferPointer, at offset: inout Int) throws(PithError) {
        func next() throws(PithError) -> UInt32 {
            guard offset < bytes.count else { throw .truncated(at: offset) }
            defer { offset += 1 }
            return UInt32(bytes[offset])
        }
        let (bits, first, last) = (Int(try next()), Int(try next()), Int(try next()))
        guard first <= last else { throw .invalidStream("a table from symbol \(first) to \(last)") }
        var frequencies = [UInt32](repeating: 0, count: 256)
        for symbol in first...last {
            let low = try next()
            frequencies[symbol] = low < 128 ? low : low & 127 | (try next()) << 7
        }
        try self.init(frequencies: frequencies, bits: bits)
    }
}
