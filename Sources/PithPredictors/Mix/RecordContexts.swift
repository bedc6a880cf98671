/// Rows of equal length: the bytes above, beside and before in the same column.
struct RecordContexts {
    private let width: Int
    private let isBest: Bool

    init(_ settings: MixSettings) {
        width = settings.content.isBinary ? settings.width : 0
        isBest = settings.effort == .best
    }

    var count: Int { width == 0 ? 0 : isBest ? 18 : 7 }

    func add(_ history: History, to bank: inout ContextBank) {
        guard width > 0 else { return }
        let column = UInt64(history.position % width)
        func byte(_ distance: Int) -> UInt64 { UInt64(history.byte(distance)) }
        let (left, above, aboveTwo) = (byte(1), byte(width), byte(2 * width))
        let (aboveLeft, aboveRight) = (byte(width + 1), byte(width - 1))
        bank.add(Hash.combine(column << 8 | above, UInt64(1)))
        bank.add(Hash.combine(above << 8 | left, column))
        bank.add(Hash.combine(above << 8 | aboveTwo, column))
        bank.add(Hash.combine(column, UInt64(2)))
        bank.add(Hash.combine(column << 8 | left, UInt64(3)))
        bank.add(Hash.combine(above << 16 | left << 8 | byte(2), UInt64(4)))
        bank.add(Hash.combine(above << 16 | aboveLeft << 8 | left, UInt64(5)))
        guard isBest else { return }
        bank.add(Hash.combine((left &+ above &- aboveLeft) & 255, column))
        bank.add(Hash.combine((2 &* above &- aboveTwo) & 255, column))
        bank.add(Hash.combine(above << 24 | aboveTwo << 16 | byte(3 * width) << 8 | left, UInt64(6)))
        bank.add(Hash.combine(above << 16 | aboveRight << 8 | left, UInt64(7)))
        bank.add(Hash.combine(above & 0xF0 | left >> 4, column))
        // The bytes of this row that are known, up to seven of them.
        let known = Hash.combine(column == 0 ? 0 : history.lastBytes(min(Int(column), 7)), column)
        let (mean, longMean) = ((above + aboveTwo) >> 1, (above + aboveTwo + byte(3 * width) + byte(4 * width)) >> 2)
        bank.add(known)
        bank.add(Hash.combine(known, above))
        bank.add(Hash.combine(known, above << 8 | aboveTwo))
        bank.add(Hash.combine(known, UInt64(history.byte(width + Int(column))) << 8 | 9))
        bank.add(Hash.combine(mean >> 1, column << 8 | left >> 3))
        bank.add(Hash.combine(longMean, column))
    }
}
