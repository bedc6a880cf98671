import PithCore
import PithFormats
import PithTensor

/// What bytes are, as far as it decides how to compress them.
public enum ContentKind: Hashable, Sendable {
    /// Text or source code.
    case text
    /// Rows of columns with a separator between them.
    case table
    /// Floats, one behind the other.
    case floats(ElementType)
    /// Records of so many bytes, as quantised tensors are.
    case blocks(Int)
    /// Rows of so many bytes, pixels of so many.
    case pixels(row: Int, pixel: Int)
    /// Sound of so many channels, of 16 bits each.
    case samples(channels: Int)
    /// Bytes that look like noise: compressed already.
    case noise
    /// Anything else.
    case binary

    /// Content is best cut where a whole number of these bytes ends.
    var unit: Int {
        switch self {
        case .floats(let type): type.byteCount
        case .blocks(let size): size
        case .pixels(let row, _): max(1, row)
        case .samples(let channels): 2 * channels
        default: 1
        }
    }
}

/// A part of a file that is of one kind.
struct ContentPart: Equatable {
    var range: Range<Int>
    var kind: ContentKind
    /// The name of a tensor.
    var name: String?

    /// The parts of a file, in order and without gaps, told by its content.
    static func parts(of view: ContentView) -> [ContentPart] {
        guard view.count > 0 else { return [] }
        view.load(0..<headDimension)
        let payload = tensors(view) ?? sound(view) ?? view.region.withBytes { picture($0) ?? [] }
        var (parts, end) = ([ContentPart](), 0)
        for part in payload where !part.range.isEmpty {
            if part.range.lowerBound > end { parts.append(plain(view, end..<part.range.lowerBound)) }
            parts.append(part)
            end = part.range.upperBound
        }
        if end < view.count { parts.append(plain(view, end..<view.count)) }
        return parts
    }

    // The heads of pictures are shorter.
    private static let headDimension = 1 << 16

    private static func plain(_ view: ContentView, _ range: Range<Int>) -> ContentPart {
        ContentKind.loadSamples(of: range, view)
        return ContentPart(range: range, kind: view.region[range].withBytes { ContentKind(plain: $0) })
    }

    /// The tensors of safetensors and GGUF files.
    static func tensors(_ view: ContentView) -> [ContentPart]? {
        let region = view.region
        guard region.count > 16 else { return nil }
        let isGGUF = region.withBytes { $0.prefix(4).elementsEqual("GGUF".utf8) }
        let isSafetensors = region.withBytes { $0[8] == UInt8(ascii: "{") && $0[6] == 0 && $0[7] == 0 }
        guard isGGUF || isSafetensors else { return nil }
        // How long the head is shows when it was read.
        for loaded in stride(from: 20, through: 30, by: 2).map({ 1 << $0 }) {
            view.load(0..<loaded)
            let ranges = isGGUF ? try? GGUFTensors.ranges(in: region) : try? SafetensorsFile.ranges(in: region)
            if let ranges, (ranges.first?.range.lowerBound ?? 0) <= loaded { return parts(ranges, view) }
            guard loaded < region.count else { break }
        }
        return nil
    }

    private static func parts(_ ranges: [TensorRange], _ view: ContentView) -> [ContentPart] {
        ranges.map { tensor in
            switch tensor.encoding {
            case .elements(let type):
                let isFloat = [.bfloat16, .float16, .float32, .float64, .float8e4m3, .float8e5m2].contains(type)
                return ContentPart(
                    range: tensor.range, kind: isFloat ? .floats(type) : plain(view, tensor.range).kind,
                    name: tensor.name)
            case .blocks(let size): return ContentPart(range: tensor.range, kind: .blocks(size), name: tensor.name)
            }
        }
    }

    /// The samples of a WAVE file of 16 bits.
    private static func sound(_ view: ContentView) -> [ContentPart]? {
        let bytes = view.region.bytes
        guard bytes.count > 44, bytes.prefix(4).elementsEqual("RIFF".utf8),
            bytes[8..<12].elementsEqual("WAVE".utf8)
        else { return nil }
        var (offset, channels) = (12, 0)
        // Files of sound have few chunks.
        for _ in 0..<1000 where offset + 8 <= bytes.count {
            view.load(offset..<offset + 24)
            let size = Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self).littleEndian)
            let start = offset + 8
            if bytes[offset..<offset + 4].elementsEqual("fmt ".utf8), bytes.count - start >= 16 {
                let isPlain = bytes[start] == 1 && bytes[start + 14] == 16
                channels = isPlain ? Int(bytes[start + 2]) : 0
            }
            if bytes[offset..<offset + 4].elementsEqual("data".utf8) {
                guard (1...8).contains(channels) else { return nil }
                return [ContentPart(range: start..<min(bytes.count, start + size), kind: .samples(channels: channels))]
            }
            offset = start + size + size % 2
        }
        return nil
    }

    /// The pixels of PGM, PPM, BMP and IDX files.
    private static func picture(_ bytes: UnsafeRawBufferPointer) -> [ContentPart]? {
        portableMap(bytes) ?? bitmap(bytes) ?? digits(bytes)
    }

    private static func portableMap(_ bytes: UnsafeRawBufferPointer) -> [ContentPart]? {
        guard bytes.count > 16, bytes[0] == UInt8(ascii: "P"), bytes[1] == 0x35 || bytes[1] == 0x36 else { return nil }
        // Width, height and largest value, with comments between them; one space ends them.
        var (numbers, offset) = ([Int](), 2)
        while numbers.count < 3 {
            while offset < bytes.count, bytes[offset] <= 32 { offset += 1 }
            guard offset < min(bytes.count, 4096) else { return nil }
            if bytes[offset] == UInt8(ascii: "#") {
                while offset < bytes.count, bytes[offset] != 10 { offset += 1 }
                continue
            }
            var value = 0
            while offset < bytes.count, (48...57).contains(bytes[offset]), value < 1 << 24 {
                value = 10 * value + Int(bytes[offset] - 48)
                offset += 1
            }
            guard value > 0 else { return nil }
            numbers.append(value)
        }
        guard numbers[2] < 256 else { return nil }
        let pixel = bytes[1] == 0x36 ? 3 : 1
        let (start, size) = (offset + 1, numbers[0] * numbers[1] * pixel)
        guard start + size <= bytes.count else { return nil }
        return [ContentPart(range: start..<start + size, kind: .pixels(row: numbers[0] * pixel, pixel: pixel))]
    }

    private static func bitmap(_ bytes: UnsafeRawBufferPointer) -> [ContentPart]? {
        guard bytes.count > 54, bytes.prefix(2).elementsEqual("BM".utf8) else { return nil }
        func word(_ offset: Int) -> Int {
            Int(bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self).littleEndian)
        }
        let (start, width, height) = (word(10), word(18), abs(word(22)))
        let (bits, compression) = (Int(bytes[28]), word(30))
        guard compression == 0, [8, 24, 32].contains(bits), (1...1 << 20).contains(width), height < 1 << 20 else {
            return nil
        }
        let row = (width * bits / 8 + 3) / 4 * 4
        guard start >= 54, start <= bytes.count, row * height <= bytes.count - start else { return nil }
        return [ContentPart(range: start..<start + row * height, kind: .pixels(row: row, pixel: bits / 8))]
    }

    /// Pictures of bytes as MNIST has them.
    private static func digits(_ bytes: UnsafeRawBufferPointer) -> [ContentPart]? {
        guard bytes.count > 16, bytes.prefix(4).elementsEqual([0, 0, 8, 3]) else { return nil }
        func word(_ offset: Int) -> Int { Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian) }
        let (count, rows, columns) = (word(4), word(8), word(12))
        guard (1...4096).contains(rows), (1...4096).contains(columns), count * rows * columns == bytes.count - 16 else {
            return nil
        }
        return [ContentPart(range: 16..<bytes.count, kind: .pixels(row: columns, pixel: 1))]
    }
}

extension ContentKind {
    private static let sampleSize = 1 << 14

    /// The places of the samples in content of `count` bytes.
    private static func samples(_ count: Int) -> [Range<Int>] {
        (0..<4).map { sample in
            let start = max(0, count - sampleSize) * sample / 3
            return start..<min(count, start + sampleSize)
        }
    }

    /// Loads what is looked at to tell the kind of the bytes in `range`.
    static func loadSamples(of range: Range<Int>, _ view: ContentView) {
        for sample in samples(range.count) {
            view.load(range.lowerBound + sample.lowerBound..<range.lowerBound + sample.upperBound)
        }
    }

    /// Text, a table, noise or anything else, judged by samples.
    init(plain bytes: UnsafeRawBufferPointer) {
        var (counts, total) = ([Int](repeating: 0, count: 256), 0)
        for sample in Self.samples(bytes.count) {
            for byte in bytes[sample] { counts[Int(byte)] += 1 }
            total += sample.count
        }
        if Self.isNoise(counts, total) {
            self = .noise
        } else if !Self.isText(counts, total) {
            self = .binary
        } else {
            self = Self.isTable(bytes) ? .table : .text
        }
    }

    /// Whether bytes are as evenly spread as chance makes them: the sum of squares over what is expected has
    /// 255 degrees of freedom, and what a compressor leaves behind is seldom above 600.
    private static func isNoise(_ counts: [Int], _ total: Int) -> Bool {
        guard total >= 1 << 12 else { return false }
        let expected = Double(total) / 256
        let spread = counts.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        return spread < 600
    }

    /// Control characters are rare in text, and zeros do not occur.
    private static func isText(_ counts: [Int], _ total: Int) -> Bool {
        let blanks = counts[9] + counts[10] + counts[13]
        let controls = counts[..<32].reduce(0, +) - blanks + counts[127]
        let high = counts[128...].reduce(0, +)
        return counts[0] == 0 && controls * 100 <= total && high * 2 <= total
    }

    /// Whether the first lines all have the same number of one separator.
    private static func isTable(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let lines = bytes.prefix(sampleSize).split(separator: 10, omittingEmptySubsequences: false).dropLast().prefix(
            64)
        guard lines.count >= 8 else { return false }
        return [UInt8(ascii: ","), 9, UInt8(ascii: ";"), UInt8(ascii: "|")].contains { separator in
            let numbers = lines.map { line in line.count { $0 == separator } }
            return numbers[0] > 0 && numbers.count { $0 == numbers[0] } * 10 >= 9 * numbers.count
        }
    }
}
