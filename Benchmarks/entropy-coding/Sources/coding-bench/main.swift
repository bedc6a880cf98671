// coding-bench symbols FILE | floats TYPE FILE: one line for each coder with its name, the share of the size that is
// left, and 10⁹ bytes of input per second of one core, in and out. Decoded bytes are compared with the input.
import Foundation
import Pith

/// Processor time of this process, in seconds.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}

/// Runs a coder over pieces of the input, the best of some turns.
func measure(
    _ name: String, _ input: [UInt8], piece: Int, turns: Int = 15, encode: (Range<Int>) throws -> [UInt8],
    decode: ([UInt8], Range<Int>) throws -> Void, isRight: () -> Bool = { true }
) throws {
    let pieces = stride(from: 0, to: input.count, by: piece).map { $0..<min(input.count, $0 + piece) }
    var (inside, outside, size) = (Double.infinity, Double.infinity, 0)
    for _ in 0..<turns {
        var start = processorTime()
        let coded = try pieces.map(encode)
        inside = min(inside, processorTime() - start)
        size = coded.reduce(0) { $0 + $1.count }
        start = processorTime()
        for (stream, range) in zip(coded, pieces) { try decode(stream, range) }
        outside = min(outside, processorTime() - start)
        guard isRight() else { throw PithError.fault("\(name) gives other bytes") }
    }
    let count = Double(input.count)
    print(name, Double(size) / count, count / inside / 1e9, count / outside / 1e9, separator: "\t")
}

func measureSymbols(_ input: [UInt8]) throws {
    var counts = [Int](repeating: 0, count: 256)
    for byte in input { counts[Int(byte)] += 1 }
    guard let huffman = HuffmanBlocks(counts: counts), let table = FrequencyTable(counts: counts, bits: 12) else {
        return
    }
    func blocks(
        _ name: String, _ encode: (UnsafeBufferPointer<UInt8>) -> [UInt8],
        _ decode: (UnsafeRawBufferPointer, Int, UnsafeMutablePointer<UInt8>) throws -> Void
    ) throws {
        var output = [UInt8](repeating: 0, count: input.count)
        try measure(name, input, piece: 1 << 16) { range in
            input.withUnsafeBufferPointer { encode(UnsafeBufferPointer(rebasing: $0[range])) }
        } decode: { block, range in
            try output.withUnsafeMutableBufferPointer { output in
                try block.withUnsafeBytes { try decode($0, range.count, output.baseAddress! + range.lowerBound) }
            }
        } isRight: {
            output == input
        }
    }
    try blocks(
        "pith huffman",
        { symbols in
            [UInt8](unsafeUninitializedCapacity: HuffmanBlocks.largestSize(symbols.count)) { buffer, count in
                count = huffman.encode(symbols, into: buffer.baseAddress!)
            }
        }, { try huffman.decode($0, count: $1, into: $2) })
    for lanes in [4, 32] {
        let rans = InterleavedRANS(table, lanes: lanes)
        try blocks("pith rans, \(lanes) states", { rans.encode($0) }, { try rans.decode($0, count: $1, into: $2) })
    }
    let tans = TANS(table)
    try blocks("pith tans", { tans.encode($0) }, { try tans.decode($0, count: $1, into: $2) })
    let (starts, frequencies) = (table.starts, table.frequencies)
    let symbols = frequencies.indices.flatMap { [UInt8](repeating: UInt8($0), count: Int(frequencies[$0])) }
    try measure("pith range coder", input, piece: 1 << 16, turns: 5) { range in
        var encoder = RangeEncoder()
        for byte in input[range] {
            encoder.encode(start: starts[Int(byte)], frequency: frequencies[Int(byte)], totalBits: 12)
        }
        return encoder.finish()
    } decode: { stream, range in
        var decoder = try RangeDecoder(stream)
        for byte in input[range] {
            let symbol = Int(symbols[Int(decoder.slot(totalBits: 12))])
            try decoder.advance(start: starts[symbol], frequency: frequencies[symbol], totalBits: 12)
            guard symbol == Int(byte) else { throw PithError.fault("a wrong symbol") }
        }
    }
    try measure("pith adaptive bits", input, piece: 1 << 20, turns: 3) { range in
        var (model, encoder) = (BitTree(bits: 8), RangeEncoder())
        for byte in input[range] { model.encode(Int(byte), to: &encoder) }
        return encoder.finish()
    } decode: { stream, range in
        var (model, decoder) = (BitTree(bits: 8), try RangeDecoder(stream))
        for byte in input[range] {
            guard try model.decode(from: &decoder) == Int(byte) else { throw PithError.fault("a wrong symbol") }
        }
    }
}

func measureFloats(_ type: ElementType, _ input: [UInt8]) throws {
    let (pool, region) = (ThreadPool(threads: 1), ByteRegion(copying: input))
    // Tensors of two million bytes, as those of small models are.
    for (name, coverage) in [("dfloat11", LosslessFloats.Coverage.exponents), ("zipnn", .allPlanes)] {
        var decoded: [Int: StoredTensor] = [:]
        try measure("pith \(name)", input, piece: 1 << 21) { range in
            let tensor = StoredTensor(type: type, shape: [range.count / type.byteCount], region: region[range])
            return try LosslessFloats.compress(tensor, coverage: coverage, pool: pool)
        } decode: { file, range in
            decoded[range.lowerBound] = try file.withUnsafeBytes {
                try LosslessFloats.decompress(ByteRegion($0, keptAliveBy: nil), pool: pool)
            }
        } isRight: {
            decoded.allSatisfy { start, tensor in
                tensor.region.bytes.elementsEqual(input[start..<start + tensor.byteCount])
            }
        }
    }
}

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, arguments.count) {
case ("symbols", 2): try measureSymbols(try Files.bytes(arguments.last!))
case ("floats", 3):
    guard let type = ElementType(rawValue: Array(arguments)[1]) else { fatalError("no element type") }
    try measureFloats(type, try Files.bytes(arguments.last!))
default:
    print("coding-bench symbols FILE | floats TYPE FILE")
    exit(64)
}
