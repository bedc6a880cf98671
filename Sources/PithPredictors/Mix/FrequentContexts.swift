/// Contexts that are seen often enough for counters: the last few bytes, and the word so far.
struct FrequentContexts {
    private let settings: MixSettings

    init(_ settings: MixSettings) { self.settings = settings }

    var count: Int { 7 + (isText ? 6 : 0) }

    private var isText: Bool { settings.content == .text }

    func add(_ text: TextState, _ history: History, to counters: inout ContextCounters) {
        counters.add(0)
        for order in 1...4 { counters.add(Hash.combine(UInt64(order), history.lastBytes(order))) }
        if isText {
            counters.add(Hash.combine(text.word, history.lastBytes(1)))
            counters.add(Hash.combine(Hash.combine(text.word, text.words.0), history.lastBytes(1)))
            for order in 5...6 { counters.add(Hash.combine(UInt64(order), history.lastBytes(order))) }
            let current = text.word != 0 ? text.word : text.gap
            counters.add(Hash.combine(Hash.combine(current, text.words.0), text.words.1))
            counters.add(Hash.combine(Hash.combine(current, text.words.1), UInt64(5)))
            // Where lines end: behind how many characters, and behind what.
            let column = Hash.combine(9, UInt64(text.column))
            counters.add(Hash.combine(column, text.shape & 15))
            counters.add(Hash.combine(column, UInt64(text.wordLength) + 16))
        } else {
            let row = settings.width > 0 ? settings.width : 4
            let above = UInt64(history.byte(row))
            counters.add(Hash.combine(above, UInt64(history.position % row)))
            counters.add(Hash.combine(above << 8 | history.lastBytes(1), UInt64(8)))
        }
    }
}
