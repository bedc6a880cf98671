/// Matches of several lengths side by side.
struct MatchModels {
    static let inputCount = 3 * MatchModel.inputCount

    private(set) var long: MatchModel
    private(set) var middle: MatchModel
    private(set) var short: MatchModel

    init(_ settings: MixSettings, bits: Int, _ tables: MixTables, _ arena: Arena) {
        let lengths = settings.content == .text ? (20, 11, 6) : (16, 8, 4)
        long = MatchModel(minimum: lengths.0, bits: bits, tables, arena)
        middle = MatchModel(minimum: lengths.1, bits: bits, tables, arena)
        short = MatchModel(minimum: lengths.2, bits: bits, tables, arena)
    }

    /// The match to believe first.
    var best: MatchModel {
        @inline(__always) get { long.strength > 0 ? long : middle.strength >= short.strength ? middle : short }
    }

    mutating func beginByte(_ history: History) {
        long.beginByte(history)
        middle.beginByte(history)
        short.beginByte(history)
    }

    @inline(__always)
    mutating func predict(_ history: History, into inputs: UnsafeMutablePointer<Int16>) {
        long.predict(history, into: inputs)
        middle.predict(history, into: inputs + MatchModel.inputCount)
        short.predict(history, into: inputs + 2 * MatchModel.inputCount)
    }

    @inline(__always)
    mutating func update(_ bit: UInt32) {
        long.update(bit)
        middle.update(bit)
        short.update(bit)
    }
}
