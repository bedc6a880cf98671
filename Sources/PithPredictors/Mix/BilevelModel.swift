import CPithKernels

/// Pictures of one bit a pixel, eight pixels a byte: each bit is predicted from the pixels around it.
///
/// Contexts are templates of 3 to some 40 pixels on this row and the three above, hashed into one table of estimates.
struct BilevelModel {
    static let templates = 14
    static let inputsPerTemplate = 3

    private let tables: MixTables
    private let width: Int
    // [templates << bits]: bit histories and estimates by context.
    private let histories: UnsafeMutablePointer<UInt8>
    private let estimates: UnsafeMutablePointer<UInt32>
    private let bits: Int
    // [templates, 256]: what the histories stand for.
    private let stateEstimates: UnsafeMutablePointer<UInt32>
    private let successors: UnsafeMutablePointer<UInt8>
    private let used: UnsafeMutablePointer<Int>
    // Rows around the byte: 32 pixels of each, the byte's own column in bits 8 to 15 of the rows above, and the pixels
    // before it in this row.
    private var rows: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// How many inputs the model makes for pictures of this kind.
    static func inputCount(_ settings: MixSettings) -> Int {
        settings.content == .image1 ? templates * inputsPerTemplate : 0
    }

    init(_ settings: MixSettings, countBits: Int, _ tables: MixTables, _ arena: Arena) {
        self.tables = tables
        width = max(settings.width, 1)
        bits = settings.content == .image1 ? min(max(countBits + 1, 10), 20) : 0
        histories = arena.allocate(Self.templates << bits)
        estimates = arena.allocate(Self.templates << bits)
        let start = BitHistory.probabilities.map { $0 << 10 }
        stateEstimates = arena.copy((0..<Self.templates).flatMap { _ in start })
        successors = arena.copy(BitHistory.successors)
        used = arena.allocate(Self.templates)
    }

    /// Reads the rows around the next byte.
    mutating func beginByte(_ history: History) {
        func pixels(_ row: Int) -> UInt64 {
            // From three bytes left to one right of the next byte's column.
            (0..<5).reduce(0) { $0 << 8 | UInt64(history.byte(row * width + 3 - $1)) }
        }
        rows = (history.lastBytes(4), pixels(1), pixels(2), pixels(3))
    }

    /// Writes the inputs of the next bit.
    mutating func predict(_ history: History, into inputs: UnsafeMutablePointer<Int16>) {
        let contexts = neighbourhoods(history)
        withUnsafeBytes(of: contexts) { raw in
            let values = raw.bindMemory(to: UInt64.self)
            for template in 0..<Self.templates {
                let hash = Hash.combine(values[template], UInt64(template))
                let place = template << bits | Int(hash >> UInt64(64 - bits))
                used[template] = place
                let state = Int(histories[place])
                let probability = stateEstimates[template << 8 | state] >> 16
                let exact = (estimates[place] & 1023 == 0 ? Estimate.start : estimates[place]) >> 16
                let input = inputs + template * Self.inputsPerTemplate
                input[0] = state == 0 ? 0 : Int16(tables.stretch(probability))
                input[1] = state == 0 ? 0 : Int16((Int32(probability) - 32768) >> 5)
                input[2] = Int16(tables.stretch(exact))
            }
        }
    }

    private typealias Contexts = (
        UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64
    )

    /// The templates: bits of this row before the pixel, and of the rows above around its column.
    private func neighbourhoods(_ history: History) -> Contexts {
        let shift = UInt64(history.bitIndex)
        let known = UInt64(history.partial) & ((1 << shift) - 1)
        let row = rows.0 << shift | known
        // `left` pixels before the column, the column, and `right` behind it.
        func above(_ pixels: UInt64, _ left: UInt64, _ right: UInt64) -> UInt64 {
            pixels >> (15 - shift - right) & ((1 << (left + right + 1)) - 1)
        }
        func before(_ count: UInt64) -> UInt64 { row & ((1 << count) - 1) }
        func join(_ parts: (UInt64, UInt64)...) -> UInt64 { parts.reduce(1) { $0 << $1.1 | $1.0 } }
        let (a, b, c) = (rows.1, rows.2, rows.3)
        return (
            join((before(4), 4), (above(a, 2, 2), 5), (above(b, 1, 1), 3)),
            join((before(6), 6), (above(a, 3, 3), 7), (above(b, 2, 2), 5), (above(c, 0, 0), 1)),
            join((before(8), 8), (above(a, 4, 4), 9), (above(b, 3, 3), 7)),
            join((before(5), 5), (above(a, 3, 3), 7), (above(b, 3, 3), 7), (above(c, 3, 3), 7)),
            join((before(12), 12), (above(a, 2, 2), 5)),
            join((before(3), 3), (above(a, 7, 7), 15)),
            join((before(2), 2), (above(a, 2, 6), 9), (above(b, 2, 6), 9)),
            join((before(10), 10), (above(a, 6, 6), 13), (above(b, 5, 5), 11), (above(c, 4, 4), 9)),
            join((before(24), 24), (above(a, 1, 1), 3)),
            join((before(16), 16), (above(a, 10, 6), 17), (above(b, 8, 6), 15)),
            join((before(2), 2), (above(a, 1, 1), 3), (above(b, 1, 1), 3), (above(c, 1, 1), 3)),
            join((above(a, 3, 3), 7), (above(b, 3, 3), 7), (above(c, 2, 2), 5)),
            join((before(7), 7), (above(a, 1, 7), 9), (above(b, 0, 4), 5)),
            join((before(1), 1), (above(a, 0, 0), 1), (UInt64(history.position % width) << 3 | shift, 14))
        )
    }

    /// Learns a bit.
    mutating func update(_ bit: UInt32) {
        for template in 0..<Self.templates {
            let place = used[template]
            let state = Int(histories[place])
            let index = template << 8 | state
            stateEstimates[index] = Estimate.updated(stateEstimates[index], bit, limit: 1023, tables)
            let before = estimates[place] & 1023 == 0 ? Estimate.start : estimates[place]
            estimates[place] = Estimate.updated(before, bit, limit: 255, tables)
            histories[place] = successors[2 * state + Int(bit)]
        }
    }
}
