import PithCore

/// A regular expression as instructions.
struct ExpressionProgram: Sendable {
    enum Instruction: Sendable {
        /// One character of a set.
        case set(Int)
        /// A run of characters of a set, as long as possible; gives characters back unless it is possessive.
        case run(Int, least: Int, most: Int, isPossessive: Bool)
        /// Goes on, and at `other` if that fails.
        case split(other: Int)
        /// Goes on at `other`, and here if that fails.
        case splitLater(other: Int)
        /// Goes on only if the next byte is one of a set, else at `other`.
        case gate(Int, other: Int)
        case jump(Int)
        /// What stands up to `end` must match here, or `width` characters before; nothing is read.
        case look(end: Int, width: Int?, isNegated: Bool)
        /// What stands up to `end` is matched as it is the first time, or not at all.
        case atomic(end: Int)
        case anchor(Expression.Anchor)
        case accept
    }

    private(set) var instructions: [Instruction] = []
    private(set) var sets: [ScalarSet] = []
    private(set) var gates: [ByteSet] = []
    private let text: String

    private static let sizeLimit = 1 << 14

    /// The program of an expression; `text` is what errors quote.
    init(_ node: Expression.Node, _ text: String) throws(PithError) {
        self.text = text
        try append(node)
        instructions.append(.accept)
    }

    private mutating func append(_ node: Expression.Node) throws(PithError) {
        guard instructions.count < Self.sizeLimit else {
            throw .data("the expression '\(text.shortened)' is too large")
        }
        switch node {
        case .set(let set): instructions.append(.set(add(set)))
        case .sequence(let nodes): for node in nodes { try append(node) }
        case .alternatives(let nodes): try append(alternatives: nodes)
        case .loop(let node, let least, let most, let style): try append(loop: node, least, most, style)
        case .look(let node, let isBehind, let isNegated):
            guard !isBehind || node.width != nil else {
                throw .data("the expression '\(text.shortened)' looks back to what has no fixed length")
            }
            let start = instructions.count
            instructions.append(.accept)
            try append(node)
            instructions.append(.accept)
            instructions[start] = .look(
                end: instructions.count, width: isBehind ? node.width : nil, isNegated: isNegated)
        case .atomic(let node):
            let start = instructions.count
            instructions.append(.accept)
            try append(node)
            instructions.append(.accept)
            instructions[start] = .atomic(end: instructions.count)
        case .anchor(let anchor): instructions.append(.anchor(anchor))
        }
    }

    private mutating func add(_ set: ScalarSet) -> Int {
        sets.append(set)
        return sets.count - 1
    }

    private mutating func append(alternatives nodes: [Expression.Node]) throws(PithError) {
        var ends: [Int] = []
        for (index, node) in nodes.enumerated() {
            let first = node.firstBytes
            var gate: Int?
            if !first.mayBeEmpty {
                gate = instructions.count
                gates.append(first.bytes)
                instructions.append(.accept)
            }
            var split: Int?
            if index + 1 < nodes.count {
                split = instructions.count
                instructions.append(.accept)
            }
            try append(node)
            if index + 1 < nodes.count {
                ends.append(instructions.count)
                instructions.append(.accept)
            }
            let other = index + 1 < nodes.count ? instructions.count : -1
            if let gate { instructions[gate] = .gate(gates.count - 1 - laterGates(since: gate), other: other) }
            if let split { instructions[split] = .split(other: other) }
        }
        for end in ends { instructions[end] = .jump(instructions.count) }
    }

    /// Gates that were made behind an instruction.
    private func laterGates(since place: Int) -> Int {
        instructions[(place + 1)...].count { if case .gate = $0 { true } else { false } }
    }

    private mutating func append(
        loop node: Expression.Node, _ least: Int, _ most: Int, _ style: Expression.Style
    ) throws(PithError) {
        if case .set(let set) = node, style != .lazy {
            instructions.append(.run(add(set), least: least, most: most, isPossessive: style == .possessive))
            return
        }
        if style == .possessive {
            try append(.atomic(.loop(node, least: least, most: most, .greedy)))
            return
        }
        for _ in 0..<least { try append(node) }
        if most == .max {
            let start = instructions.count
            instructions.append(.accept)
            try append(node)
            instructions.append(.jump(start))
            instructions[start] = split(style, other: instructions.count)
            return
        }
        var splits: [Int] = []
        for _ in least..<most {
            splits.append(instructions.count)
            instructions.append(.accept)
            try append(node)
        }
        for place in splits { instructions[place] = split(style, other: instructions.count) }
    }

    private func split(_ style: Expression.Style, other: Int) -> Instruction {
        style == .lazy ? .splitLater(other: other) : .split(other: other)
    }
}

/// Runs a program on a text.
struct ExpressionMatcher {
    private let program: ExpressionProgram
    private let bytes: UnsafeBufferPointer<UInt8>
    /// Where to go on when something fails; runs give back one character at a time down to `floor`.
    private var stack: [(instruction: Int, position: Int, floor: Int)] = []
    /// Times that a match went back to another way, in this text.
    private var returns = 0

    /// A match that goes back so often begins to note what it tried; the expressions of real tokenizers never do.
    private static let returnsBeforeNotes = 1 << 12
    /// A text in which matches go back more often than this, and than so many times for each byte, matches no more.
    private static let returnLimit = (whole: 1 << 22, perByte: 256)

    private let returnLimit: Int

    init(_ program: ExpressionProgram, _ bytes: UnsafeBufferPointer<UInt8>) {
        (self.program, self.bytes) = (program, bytes)
        returnLimit = max(Self.returnLimit.whole, Self.returnLimit.perByte * bytes.count)
    }

    /// Where the match ends that begins at a place; nil if none does.
    mutating func match(at start: Int, from first: Int = 0) -> Int? {
        let base = stack.count
        defer { stack.removeLast(stack.count - base) }
        // Places where instructions failed already: without them, loops beside loops take exponential time.
        var (tried, ownReturns) = (Set<Int>(), 0)
        var (instruction, position) = (first, start)
        while true {
            var succeeds = true
            switch program.instructions[instruction] {
            case .set(let set):
                succeeds = false
                if position < bytes.count {
                    let next = character(bytes, at: position)
                    if program.sets[set].contains(next.value) {
                        position += next.width
                        succeeds = true
                    }
                }
                instruction += 1
            case .run(let set, let least, let most, let isPossessive):
                let floor = endOfRun(set, from: position, most: least)
                if let floor = floor.count == least ? floor.end : nil {
                    let end = endOfRun(set, from: floor, most: most == .max ? .max : most - least).end
                    instruction += 1
                    if end > floor, !isPossessive { stack.append((instruction, end, floor)) }
                    position = end
                } else {
                    succeeds = false
                }
            case .split(let other):
                stack.append((other, position, position))
                instruction += 1
            case .splitLater(let other):
                stack.append((instruction + 1, position, position))
                instruction = other
            case .gate(let gate, let other):
                if position < bytes.count, program.gates[gate].contains(bytes[position]) {
                    instruction += 1
                } else if other >= 0 {
                    instruction = other
                } else {
                    succeeds = false
                }
            case .jump(let place): instruction = place
            case .look(let end, let width, let isNegated):
                succeeds = looks(instruction + 1, position, back: width) != isNegated
                instruction = end
            case .atomic(let end):
                if let place = match(at: position, from: instruction + 1) {
                    position = place
                    instruction = end
                } else {
                    succeeds = false
                }
            case .anchor(let anchor):
                succeeds = holds(anchor, position)
                instruction += 1
            case .accept: return position
            }
            if succeeds { continue }
            repeat {
                guard stack.count > base, returns < returnLimit, let last = stack.popLast() else { return nil }
                (returns, ownReturns) = (returns + 1, ownReturns + 1)
                (instruction, position) = (last.instruction, last.position)
                if position > last.floor {
                    position -= 1
                    while bytes[position] & 0xC0 == 0x80 { position -= 1 }
                    if position > last.floor { stack.append((instruction, position, last.floor)) }
                }
            } while ownReturns > Self.returnsBeforeNotes
                && !tried.insert(instruction * (bytes.count + 1) + position).inserted
        }
    }

    private func endOfRun(_ set: Int, from start: Int, most: Int) -> (end: Int, count: Int) {
        let set = program.sets[set]
        var (end, count) = (start, 0)
        while count < most, end < bytes.count {
            let next = character(bytes, at: end)
            guard set.contains(next.value) else { break }
            end += next.width
            count += 1
        }
        return (end, count)
    }

    private mutating func looks(_ first: Int, _ position: Int, back width: Int?) -> Bool {
        guard let width else { return match(at: position, from: first) != nil }
        var start = position
        for _ in 0..<width {
            guard start > 0 else { return false }
            start -= 1
            while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        }
        return match(at: start, from: first) == position
    }

    private func holds(_ anchor: Expression.Anchor, _ position: Int) -> Bool {
        let isEnd = position == bytes.count
        return switch anchor {
        case .textStart: position == 0
        case .textEnd: isEnd
        case .lastLineEnd: isEnd || (position == bytes.count - 1 && bytes[position] == 0x0A)
        case .lineStart: position == 0 || (bytes[position - 1] == 0x0A && !isEnd)
        case .lineEnd: isEnd || bytes[position] == 0x0A
        case .wordBoundary: isWord(before: position) != isWord(at: position)
        case .noWordBoundary: isWord(before: position) == isWord(at: position)
        }
    }

    private static let words = ScalarSet(codes: ScalarSet.wordCodes)

    private func isWord(at position: Int) -> Bool {
        position < bytes.count && Self.words.contains(character(bytes, at: position).value)
    }

    private func isWord(before position: Int) -> Bool {
        guard position > 0 else { return false }
        var start = position - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return isWord(at: start)
    }
}
