import PithCore
import PithFormats
import PithTensor

/// How far a sequence was read, and what every attention and every recurrence keeps of it.
public struct SequenceState: Sendable {
    /// One store for each attention.
    public var stores: [any KeyValueStore]
    /// One state for each recurrence.
    public internal(set) var recurrent: [RecurrentState]
    /// Positions read.
    public internal(set) var position: Int

    /// A state from stores, one for each attention, and states, one for each recurrence, that hold what was read before
    /// `position`.
    public init(stores: [any KeyValueStore], recurrent: [RecurrentState] = [], position: Int = 0) {
        (self.stores, self.recurrent, self.position) = (stores, recurrent, position)
    }

    /// The bits of all stores and states.
    public var storedBits: Int {
        stores.reduce(0) { $0 + $1.storedBits } + recurrent.reduce(0) { $0 + $1.storedBits }
    }

    /// Forgets all but the first `count` positions. Where an attention sees a window only, no more may be forgotten than
    /// was read last at once: what lies further back is gone. A recurrence keeps no positions one by one, so that it can
    /// forget all of them or none: with recurrences anything between is refused, and a copy made there is the way back.
    public mutating func truncate(to count: Int) throws(PithError) {
        let count = min(max(0, count), position)
        guard recurrent.isEmpty || count == 0 || count == position else {
            throw .usage(
                "a recurrent state that has read \(position) tokens cannot go back to \(count)",
                remedy: "keep a copy of the state from there")
        }
        for i in stores.indices { stores[i].truncate(to: count) }
        if count == 0 { for i in recurrent.indices { recurrent[i].clear() } }
        position = count
    }

    /// Goes back to `count`, where the recurrences had the states `kept`.
    mutating func goBack(to count: Int, _ kept: [RecurrentState]) {
        for i in stores.indices { stores[i].truncate(to: count) }
        (recurrent, position) = (kept, count)
    }

    /// The state as named tensors, to be saved: `position`, what each store gives, behind its number, and the state of
    /// each recurrence, `state.` and its number.
    public var stored: [String: StoredTensor] {
        var tensors = ["position": StoredTensor(integer: position)]
        for (index, store) in stores.enumerated() {
            for (name, tensor) in store.stored { tensors["\(index).\(name)"] = tensor }
        }
        for (index, state) in recurrent.enumerated() { tensors["state.\(index)"] = state.stored }
        return tensors
    }

    /// Takes up what `stored` gave; the state must be of the same model.
    public mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError) {
        guard let position = try tensors["position"]?.integer(in: 0...ModelConfiguration.sizeLimit) else {
            throw .data("the saved state has no position")
        }
        for index in stores.indices {
            let prefix = "\(index)."
            let own = tensors.filter { $0.key.hasPrefix(prefix) }
            try stores[index].restore(
                Dictionary(uniqueKeysWithValues: own.map { (String($0.key.dropFirst(prefix.count)), $0.value) }))
            guard stores[index].count == position else {
                throw .data(
                    "the saved state was read up to \(position), its attention \(index) to \(stores[index].count)")
            }
        }
        for index in recurrent.indices {
            guard let saved = tensors["state.\(index)"] else { throw .data("the saved state has no state.\(index)") }
            do { try recurrent[index].restore(saved) } catch { throw error.within("state.\(index)") }
        }
        self.position = position
    }
}

extension StoredTensor {
    /// One whole number.
    init(integer: Int) {
        let bytes = withUnsafeBytes(of: Int64(integer).littleEndian) { Array($0) }
        self.init(type: .int64, shape: [1], region: ByteRegion(copying: bytes))
    }

    /// A number that `init(integer:)` stored.
    func integer(in range: ClosedRange<Int>) throws(PithError) -> Int {
        guard type == .int64, shape == [1] else { throw .data("a saved number is \(type.rawValue) \(shape)") }
        let value = region.withBytes { Int(Int64(littleEndian: $0.loadUnaligned(as: Int64.self))) }
        guard range.contains(value) else { throw .data("a saved number is \(value)") }
        return value
    }
}
