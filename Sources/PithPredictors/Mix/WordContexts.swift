/// Words: the one being written with those before it, numbers, and the characters between words.
struct WordContexts {
    private let isBest: Bool

    init(_ settings: MixSettings) { isBest = settings.effort == .best }

    var count: Int { isBest ? 24 : 15 }

    func add(_ text: TextState, _ history: History, to bank: inout ContextBank) {
        let (word, words) = (text.word, text.words)
        let last = history.lastBytes(1)
        // What is being written: within a word its letters, between words the characters since the last.
        let current = word != 0 ? word : Hash.combine(text.gap, text.number)
        bank.add(Hash.combine(current, last))
        bank.add(Hash.combine(current, words.0))
        bank.add(Hash.combine(Hash.combine(current, words.0), words.1))
        bank.add(Hash.combine(current, words.1))
        bank.add(Hash.combine(Hash.combine(current, words.1), words.2))
        bank.add(Hash.combine(Hash.combine(Hash.combine(current, words.0), words.1), words.2))
        bank.add(Hash.combine(current, words.2))
        bank.add(Hash.combine(Hash.combine(current, text.gap), history.lastBytes(2)))
        bank.add(Hash.combine(Hash.combine(current, text.lineWord), UInt64(text.column == 0 ? 1 : 0)))
        bank.add(Hash.combine(Hash.combine(current, text.sentenceWord), UInt64(7)))
        bank.add(Hash.combine(Hash.combine(word, words.0), history.lastBytes(1) | UInt64(text.capitals & 3) << 8))
        bank.add(Hash.combine(text.skeleton, history.lastBytes(2)))
        bank.add(Hash.combine(Hash.combine(current, UInt64(text.punctuation)), UInt64(text.lengths & 15)))
        bank.add(Hash.combine(Hash.combine(words.0, history.lastBytes(3)), UInt64(text.wordLength)))
        bank.add(Hash.combine(Hash.combine(current, text.open & 255), UInt64(text.capitals & 7)))
        if isBest { addMore(text, history, current, to: &bank) }
    }

    private func addMore(_ text: TextState, _ history: History, _ current: UInt64, to bank: inout ContextBank) {
        let words = text.words
        bank.add(Hash.combine(current, words.3))
        bank.add(Hash.combine(Hash.combine(current, words.0), words.2))
        bank.add(Hash.combine(Hash.combine(current, words.0), words.3))
        bank.add(Hash.combine(Hash.combine(current, words.1), words.3))
        bank.add(Hash.combine(Hash.combine(current, words.4), UInt64(3)))
        bank.add(Hash.combine(Hash.combine(Hash.combine(current, words.0), words.1), UInt64(text.punctuation)))
        bank.add(Hash.combine(Hash.combine(Hash.combine(Hash.combine(current, words.0), words.1), words.2), words.3))
        bank.add(Hash.combine(Hash.combine(words.0, words.1), history.lastBytes(1)))
        bank.add(Hash.combine(Hash.combine(text.skeleton, words.0), history.lastBytes(1)))
    }
}
