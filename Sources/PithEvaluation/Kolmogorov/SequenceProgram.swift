import PithCore

/// A program that makes a sequence of bytes: an operation over numbers and smaller programs.
///
/// There is no input, no choice and no loop without a bound: every program ends, and `run` refuses to do more than
/// its limits permit.
public struct SequenceProgram: Hashable, Sendable {
    /// What a program does with its parts.
    public enum Operation: String, CaseIterable, Sendable {
        /// The bytes as they stand.
        case bytes
        /// `start, start + step, …`, modulo 256: values [start, step], and how many.
        case range
        /// A program's output so many times.
        case `repeat`
        /// One output behind another.
        case join
        /// A value added to each byte, modulo 256.
        case add
        /// A value xored to each byte.
        case xor
        /// Each byte modulo a value; 0 stands for 256.
        case mod
        /// Each byte multiplied by a value, modulo 256.
        case multiply
        /// Sums of the bytes of two outputs, as many as the longer has; the shorter begins again.
        case plus
        /// The same with xor.
        case cross
        /// The bytes of two outputs in turn, and then what is left of the longer.
        case interleave
        /// The output backwards.
        case reverse
        /// Running sums, modulo 256.
        case sums
        /// Running xors.
        case crosses
    }

    /// What is done.
    public var operation: Operation
    /// The bytes of `bytes`, start and step of `range`, the operand of operations on each byte.
    public var values: [UInt8]
    /// The count of `range` and `repeat`, at least 1; 0 otherwise.
    public var count: Int
    /// The programs whose outputs are used.
    public var parts: [SequenceProgram]

    /// A program; `SequenceGrammar` says what belongs to an operation.
    init(_ operation: Operation, values: [UInt8] = [], count: Int = 0, parts: [SequenceProgram] = []) {
        self.operation = operation
        self.values = values
        self.count = count
        self.parts = parts
    }

    /// The largest count.
    public static let countLimit = 4095
}

extension SequenceProgram.Operation {
    /// How many programs it uses.
    var partCount: Int {
        switch self {
        case .bytes, .range: 0
        case .repeat, .add, .xor, .mod, .multiply, .reverse, .sums, .crosses: 1
        case .join, .plus, .cross, .interleave: 2
        }
    }

    /// How many values it has; nil for any number but none.
    var valueCount: Int? {
        switch self {
        case .bytes: nil
        case .range: 2
        case .add, .xor, .mod, .multiply: 1
        default: 0
        }
    }

    /// Whether it has a count.
    var hasCount: Bool { self == .range || self == .repeat }
}

extension SequenceProgram: CustomStringConvertible {
    /// `repeat(4, join(bytes(1, 2), range(0, 3, 10)))`: values, then the count, then parts.
    public var description: String {
        let arguments = values.map { "\($0)" } + (operation.hasCount ? ["\(count)"] : []) + parts.map(\.description)
        return "\(operation.rawValue)(\(arguments.joined(separator: ", ")))"
    }
}

extension SequenceProgram {
    /// What a run may do.
    public struct Limits: Sendable {
        /// Bytes of any output, those of parts included.
        public var length: Int
        /// Bytes that all operations together may make.
        public var steps: Int

        /// Limits; by default some that no useful program meets.
        public init(length: Int = 1 << 16, steps: Int = 1 << 20) {
            self.length = length
            self.steps = steps
        }
    }

    /// The output. Nothing is allocated beyond the limits.
    public func run(_ limits: Limits = Limits()) throws(PithError) -> [UInt8] {
        var steps = limits.steps
        return try run(limits, &steps)
    }

    private func run(_ limits: Limits, _ steps: inout Int) throws(PithError) -> [UInt8] {
        var outputs: [[UInt8]] = []
        for part in parts { outputs.append(try part.run(limits, &steps)) }
        let size = outputSize(outputs.map(\.count))
        guard size <= limits.length else {
            throw .data("\(operation.rawValue) makes \(size) bytes", remedy: "at most \(limits.length) are permitted")
        }
        guard size <= steps else {
            throw .data("the program takes too many steps", remedy: "at most \(limits.steps) are permitted")
        }
        steps -= max(1, size)
        return output(outputs)
    }

    private func outputSize(_ sizes: [Int]) -> Int {
        switch operation {
        case .bytes: values.count
        case .range: count
        case .repeat: sizes[0] * count
        case .join, .interleave: sizes[0] + sizes[1]
        case .plus, .cross: sizes.min() == 0 ? 0 : max(sizes[0], sizes[1])
        default: sizes[0]
        }
    }

    private func output(_ parts: [[UInt8]]) -> [UInt8] {
        let value = values.first ?? 0
        switch operation {
        case .bytes: return values
        case .range: return (0..<count).map { values[0] &+ values[1] &* UInt8(truncatingIfNeeded: $0) }
        case .repeat: return (0..<count).flatMap { _ in parts[0] }
        case .join: return parts[0] + parts[1]
        case .add: return parts[0].map { $0 &+ value }
        case .xor: return parts[0].map { $0 ^ value }
        case .mod: return value == 0 ? parts[0] : parts[0].map { $0 % value }
        case .multiply: return parts[0].map { $0 &* value }
        case .plus: return Self.pairs(parts) { $0 &+ $1 }
        case .cross: return Self.pairs(parts) { $0 ^ $1 }
        case .interleave: return Self.interleaved(parts[0], parts[1])
        case .reverse: return parts[0].reversed()
        case .sums: return Self.running(parts[0]) { $0 &+ $1 }
        case .crosses: return Self.running(parts[0]) { $0 ^ $1 }
        }
    }

    private static func pairs(_ parts: [[UInt8]], _ combine: (UInt8, UInt8) -> UInt8) -> [UInt8] {
        let (a, b) = (parts[0], parts[1])
        guard !a.isEmpty, !b.isEmpty else { return [] }
        return (0..<max(a.count, b.count)).map { combine(a[$0 % a.count], b[$0 % b.count]) }
    }

    private static func interleaved(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        let common = min(a.count, b.count)
        return (0..<common).flatMap { [a[$0], b[$0]] } + a[common...] + b[common...]
    }

    private static func running(_ bytes: [UInt8], _ combine: (UInt8, UInt8) -> UInt8) -> [UInt8] {
        var last: UInt8 = 0
        return bytes.map { byte in
            last = combine(last, byte)
            return last
        }
    }
}
