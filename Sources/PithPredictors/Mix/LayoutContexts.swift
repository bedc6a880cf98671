/// How text looks: kinds of characters, columns, lines above, brackets.
struct LayoutContexts {
    private let isBest: Bool

    init(_ settings: MixSettings) { isBest = settings.effort == .best }

    var count: Int { isBest ? 11 : 6 }

    func add(_ text: TextState, _ history: History, to bank: inout ContextBank) {
        let above = UInt64(text.above(history))
        let column = UInt64(min(text.column, 255))
        let last = history.lastBytes(1)
        bank.add(Hash.combine(text.shape & 0xFFFF_FFFF, last))
        bank.add(Hash.combine(text.shape, UInt64(text.word == 0 ? 1 : 0)))
        bank.add(Hash.combine(above << 8 | last, UInt64(1)))
        bank.add(Hash.combine(Hash.combine(column << 8 | above, UInt64(text.lineStart)), UInt64(2)))
        bank.add(Hash.combine(text.runs & 0xFFFF_FFFF, last))
        bank.add(Hash.combine(text.open & 0xFFFF, history.lastBytes(2)))
        guard isBest else { return }
        bank.add(Hash.combine(above << 16 | history.lastBytes(2), UInt64(3)))
        bank.add(Hash.combine(Hash.combine(text.lineWord, column), last))
        bank.add(Hash.combine(Hash.combine(text.word, column), UInt64(4)))
        bank.add(Hash.combine(text.runs & 0xFF_FFFF_FFFF, text.word))
        bank.add(Hash.combine(text.shape & 0xFFF_FFFF_FFFF, history.lastBytes(2)))
    }
}
