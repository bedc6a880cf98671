import PithCore

/// A run of bytes seen as records of the same width.
package struct Records: Sendable {
    /// The bytes of all records, one record behind the other.
    package let bytes: ArraySlice<UInt8>
    /// Bytes a record.
    package let width: Int

    /// Records, the last of which may be cut off: it is left out.
    package init(_ bytes: ArraySlice<UInt8>, width: Int) {
        self.bytes = bytes.prefix(bytes.count / width * width)
        self.width = width
    }

    /// The number of records.
    package var count: Int { bytes.count / width }

    /// The byte `variable` of a record.
    package func value(_ record: Int, _ variable: Int) -> UInt8 { bytes[bytes.startIndex + record * width + variable] }

    /// Some of the records.
    package subscript(range: Range<Int>) -> Records {
        let start = bytes.startIndex
        return Records(bytes[start + range.lowerBound * width..<start + range.upperBound * width], width: width)
    }

    /// How often each byte value occurs, [256].
    package var valueCounts: [Int] {
        var counts = [Int](repeating: 0, count: 256)
        for byte in bytes { counts[Int(byte)] += 1 }
        return counts
    }
}

/// Where the records of a file begin and how wide they are.
package struct RecordShape: Sendable, Equatable {
    /// Bytes before the first record.
    package var headerSize: Int
    /// Bytes a record.
    package var width: Int

    /// The widths that are looked for and permitted.
    package static let widths = 2...4096

    /// Records of a known width.
    package init(headerSize: Int, width: Int) {
        (self.headerSize, self.width) = (headerSize, width)
    }

    /// Finds the shape: that of an IDX file of bytes (MNIST), or the distance at which bytes are most often the same.
    package init?(of input: [UInt8]) {
        if let shape = Self(idx: input) ?? Self(repetitionIn: input) { self = shape } else { return nil }
    }

    /// An IDX file says its extents: two zeros, the type (8 is bytes), their number, and each in four bytes.
    private init?(idx input: [UInt8]) {
        guard input.count >= 12, input[0] == 0, input[1] == 0, input[2] == 8, (2...4).contains(input[3]) else {
            return nil
        }
        let headerSize = 4 + 4 * Int(input[3])
        guard input.count > headerSize else { return nil }
        let extents = stride(from: 4, to: headerSize, by: 4).map { place in
            input[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        let (count, overflow) = extents.reduce((1, false)) { result, extent in
            let (product, overflow) = result.0.multipliedReportingOverflow(by: extent)
            return (product, result.1 || overflow)
        }
        guard !overflow, count == input.count - headerSize, extents[0] > 0 else { return nil }
        let width = count / extents[0]
        guard Self.widths.contains(width) else { return nil }
        self.init(headerSize: headerSize, width: width)
    }

    /// The smallest distance at which bytes agree nearly as often as at any, and clearly more than by chance.
    private init?(repetitionIn input: [UInt8]) {
        let sample = input.prefix(1 << 16)
        let longest = min(Self.widths.upperBound, sample.count / 4)
        guard longest >= Self.widths.lowerBound else { return nil }
        var counts = [Int](repeating: 0, count: 256)
        for byte in sample { counts[Int(byte)] += 1 }
        let size = Double(sample.count)
        let chance = counts.reduce(0) { $0 + Double($1) * Double($1) } / (size * size)
        let agreement = sample.withUnsafeBufferPointer { sample in
            (0...longest).map { distance in
                var same = 0
                for place in distance..<sample.count where sample[place] == sample[place - distance] { same += 1 }
                return Double(same) / Double(sample.count - distance)
            }
        }
        let best = agreement.dropFirst(2).max() ?? 0
        guard best > chance + 0.1 * (1 - chance), best > agreement[1] else { return nil }
        let threshold = best - 0.1 * (best - chance)
        guard let width = Self.widths.first(where: { $0 <= longest && agreement[$0] >= threshold }) else { return nil }
        self.init(headerSize: 0, width: width)
    }
}
