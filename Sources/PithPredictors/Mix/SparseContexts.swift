/// Bytes with gaps between them: for tables, numbers and code.
struct SparseContexts {
    // Masks over the last eight bytes, the newest lowest.
    private let masks: [UInt64]

    init(_ settings: MixSettings) {
        let text: [UInt64] = [0xFF00, 0xFF_FF00, 0xFFFF_FF00]
        let more: [UInt64] = [0xFF_00FF, 0xFFFF_0000, 0xFFFF_00FF]
        let binary: [UInt64] = [
            0xFF_0000, 0xFF00_0000, 0xFF_00FF, 0xFFFF_0000, 0xF0F0_F0F0, 0xFF00_FF00, 0xFF_0000_0000,
        ]
        let moreBinary: [UInt64] = [
            0xFF00_00FF, 0xFFFF_00FF, 0xFF00_0000_00FF, 0xFF_FFFF_0000, 0xE0E0_E0E0_E0E0, 0xF8F8_F8, 0xF0_F0FF,
            0xFFFF_0000_0000, 0xFF_FF00_0000, 0xFF_00FF_0000, 0xFF00_FF00_0000, 0xFF_0000_00FF, 0xFF00_00FF_0000,
            0xFF00_0000_FF00_0000, 0xFF_00FF_00FF, 0xFF00_FF00_FF00, 0xFF00_0000_0000, 0xFF_0000_0000_0000,
            0xFF00_0000_0000_0000, 0xFF_FFFF_FF00, 0xFFFF_FF00_00FF,
        ]
        switch settings.content {
        case .text: masks = settings.effort == .best ? text + more : text
        case let content where content.isBinary: masks = text + binary + (settings.effort == .best ? moreBinary : [])
        default: masks = []
        }
    }

    var count: Int { masks.count }

    func add(_ history: History, to bank: inout ContextBank) {
        for mask in masks { bank.add(Hash.combine(history.last & mask, mask)) }
    }
}
