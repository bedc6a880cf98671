import PithCore
import PithFormats
import PithTensor

/// How far a sequence was read, and what every attention and every recurrence keeps of it.
public struct SequenceState: Sendable {
    /// One cache for each attention.
    public var caches: [any KeyValueCache]
    /// One state for each recurrence.
    public internal(set) var recurrent: [RecurrentState]
    /// Positions read.
    public internal(set) var position: Int
    /// Where the prompt ends, if anybody said so: caches are told when it is read.
    public var promptEnd: Int?

    /// A state from caches, one for each attention, and states, one for each recurrence, that hold what was read before
    /// `position`.
    public init(caches: [any KeyValueCache], recurrent: [RecurrentState] = [], position: Int = 0) {
        (self.caches, self.recurrent, self.position) = (caches, recurrent, position)
    }

    /// The bits of all caches and states.
    public var storedBits: Int {
        caches.reduce(0) { $0 + $1.storedBits } + recurrent.reduce(0) { $0 + $1.storedBits }
    }

    /// What it means that `count` more positions are read.
    func stage(reading count: Int) -> ReadingStage {
        guard let promptEnd else { return .continuation }
        let end = position + count
        return end < promptEnd ? .promptPart : end == promptEnd ? .promptEnd : .continuation
    }

    /// Forgets all but the first `count` positions. Where an attention sees a window only, what lies further back may be
    /// gone; a recurrence keeps no positions one by one, so that it can forget all of them or none. What cannot be done
    /// is refused, and a copy made there is the way back.
    public mutating func truncate(to count: Int) throws(PithError) {
        let count = min(max(0, count), position)
        guard recurrent.isEmpty || count == 0 || count == position else {
            throw .usage(
                "a recurrent state that has read \(position) tokens cannot go back to \(count)",
                remedy: "keep a copy of the state from there")
        }
        guard caches.allSatisfy({ $0.canTruncate(to: count) }) else {
            throw .usage(
                "what a window showed at position \(count) is gone", remedy: "keep a copy of the state from there")
        }
        for i in caches.indices { caches[i].truncate(to: count) }
        if count == 0 { for i in recurrent.indices { recurrent[i].clear() } }
        position = count
    }

    /// Goes back to `count`, where the recurrences had the states `kept`.
    mutating func goBack(to count: Int, _ kept: [RecurrentState]) {
        for i in caches.indices { caches[i].truncate(to: count) }
        (recurrent, position) = (kept, count)
    }

    /// The state as named tensors, to be saved: `position`, what each cache gives, behind its number, and the state of
    /// each recurrence, `state.` and its number.
    public var stored: [String: StoredTensor] {
        var tensors = ["position": StoredTensor(integer: position)]
        for (index, cache) in caches.enumerated() {
            for (name, tensor) in cache.stored { tensors["\(index).\(name)"] = tensor }
        }
        for (index, state) in recurrent.enumerated() { tensors["state.\(index)"] = state.stored }
        return tensors
    }

    /// Takes up what `stored` gave; the state must be of the same model.
    public mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError) {
        guard let position = try tensors["position"]?.integer(in: 0...ModelConfiguration.sizeLimit) else {
            throw .data("the saved state has no position")
        }
        for index in caches.indices {
            let prefix = "\(index)."
            let own = tensors.filter { $0.key.hasPrefix(prefix) }
            try caches[index].restore(
                Dictionary(uniqueKeysWithValues: own.map { (String($0.key.dropFirst(prefix.count)), $0.value) }),
                position: position)
        }
        for index in recurrent.indices {
            guard let saved = tensors["state.\(index)"] else { throw .data("the saved state has no state.\(index)") }
            do { try recurrent[index].restore(saved) } catch { throw error.within("state.\(index)") }
        }
        self.position = position
    }
}

extension StoredTensor {
    /// Whole numbers, [count].
    init(integers: [Int]) {
        let bytes = integers.flatMap { integer in
            withUnsafeBytes(of: Int64(integer).littleEndian) { Array($0) }
        }
        self.init(type: .int64, shape: [integers.count], region: ByteRegion(copying: bytes))
    }

    /// One whole number, [1].
    init(integer: Int) { self.init(integers: [integer]) }

    /// The numbers that `init(integers:)` stored.
    func integers(in range: ClosedRange<Int>) throws(PithError) -> [Int] {
        guard type == .int64, shape.count == 1 else { throw .data("saved numbers are \(type.rawValue) \(shape)") }
        let values = region.withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 8).map {
                Int(Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Int64.self)))
            }
        }
        if let wrong = values.first(where: { !range.contains($0) }) { throw .data("a saved number is \(wrong)") }
        return values
    }

    /// The number that `init(integer:)` stored.
    func integer(in range: ClosedRange<Int>) throws(PithError) -> Int {
        let values = try integers(in: range)
        guard values.count == 1 else { throw .data("a saved number is \(shape)") }
        return values[0]
    }
}
