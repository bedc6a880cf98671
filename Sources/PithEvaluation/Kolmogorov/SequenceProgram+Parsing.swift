import PithCore

extension SequenceProgram {
    /// Reads a program as `description` writes it.
    public init(parsing text: String) throws(PithError) {
        var parser = ProgramParser(text)
        self = try parser.program(depth: 0)
        try parser.end()
    }
}

/// Reads programs from text.
private struct ProgramParser {
    private let text: [UInt8]
    private var place = 0

    init(_ text: String) { self.text = Array(text.utf8) }

    mutating func program(depth: Int) throws(PithError) -> SequenceProgram {
        guard depth <= SequenceGrammar.depthLimit else {
            throw failure("is nested too deeply", remedy: "at most \(SequenceGrammar.depthLimit) levels are permitted")
        }
        let name = word()
        guard let operation = SequenceProgram.Operation(rawValue: name) else {
            throw .unknownMethod(name, among: SequenceProgram.Operation.allCases.map(\.rawValue))
        }
        var result = SequenceProgram(operation)
        try expect("(")
        var numbers: [Int] = []
        repeat {
            if let next = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) {
                guard result.parts.isEmpty else { throw failure("a number follows a program") }
                numbers.append(try number())
            } else {
                result.parts.append(try program(depth: depth + 1))
            }
        } while accept(",")
        try expect(")")
        if operation.hasCount {
            guard let count = numbers.popLast(), (1...SequenceProgram.countLimit).contains(count) else {
                throw failure("\(name) needs a count", remedy: "it should be in 1…\(SequenceProgram.countLimit)")
            }
            result.count = count
        }
        guard numbers.allSatisfy({ $0 < 256 }) else { throw failure("a value is no byte") }
        result.values = numbers.map { UInt8($0) }
        let valuesFit =
            operation.valueCount.map { $0 == numbers.count } ?? (1...SequenceProgram.countLimit).contains(numbers.count)
        guard valuesFit, result.parts.count == operation.partCount else {
            throw failure(
                "\(name) has \(numbers.count) values and \(result.parts.count) programs",
                remedy: "it takes \(operation.valueCount.map { "\($0)" } ?? "some") and \(operation.partCount)")
        }
        return result
    }

    mutating func end() throws(PithError) {
        if peek() != nil { throw failure("something follows the program") }
    }

    private mutating func peek() -> UInt8? {
        while place < text.count, text[place] == UInt8(ascii: " ") || text[place] == UInt8(ascii: "\n") { place += 1 }
        return place < text.count ? text[place] : nil
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(PithError) {
        if !accept(character) { throw failure("'\(character)' is missing") }
    }

    private mutating func word() -> String {
        _ = peek()
        let start = place
        while place < text.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(text[place]) { place += 1 }
        return String(decoding: text[start..<place], as: UTF8.self)
    }

    private mutating func number() throws(PithError) -> Int {
        var value = 0
        while place < text.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[place]) {
            value = value * 10 + Int(text[place] - UInt8(ascii: "0"))
            place += 1
            if value > SequenceProgram.countLimit {
                throw failure("a number is larger than \(SequenceProgram.countLimit)")
            }
        }
        return value
    }

    private func failure(_ message: String, remedy: String? = nil) -> PithError {
        .usage(message, at: "program, character \(place + 1)", remedy: remedy)
    }
}
