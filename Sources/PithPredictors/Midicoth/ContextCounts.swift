/// How often each byte followed each context, for contexts of all kinds, named by hashes.
///
/// A context's followers are a linked list, the latest new one first. Memory grows with what is seen; when a limit is
/// reached everything is forgotten and learnt anew, on both sides alike.
package struct ContextCounts {
    /// A context and its followers.
    package struct Context {
        package var check: UInt32
        package var first: UInt32
        /// The sum of the followers' counts.
        package var total: UInt16 = 0
        /// The number of followers.
        package var distinct: UInt16 = 0
    }

    /// A byte that followed a context.
    package struct Follower {
        var next: UInt32
        var symbol: UInt8
        var count: UInt8
    }

    /// No follower, or no context.
    package static let none = UInt32.max

    package private(set) var contexts: [Context] = []
    private(set) var followers: [Follower] = []
    // Open addressing: the number of a context, or `none`. At most half of them are used.
    private var slots = [UInt32](repeating: none, count: 1 << 10)
    // The part of each context's hash that finds its slot.
    private var hashes: [UInt32] = []
    private let contextLimit: Int

    /// Counts of at most `contextLimit` contexts.
    package init(contextLimit: Int = 1 << 22) { self.contextLimit = contextLimit }

    /// About how many bytes are needed after `bytes` bytes with `kinds` contexts for each.
    package static func memory(for bytes: Int, kinds: Int, contextLimit: Int = 1 << 22) -> Int {
        min(bytes * kinds, 2 * contextLimit) * (MemoryLayout<Context>.stride + MemoryLayout<Follower>.stride + 8)
    }

    /// The number of the context with a hash, or `none`.
    @inline(__always)
    package func find(_ hash: UInt64) -> UInt32 {
        let (mask, check) = (slots.count &- 1, UInt32(truncatingIfNeeded: hash))
        var slot = Int(truncatingIfNeeded: hash &>> 32) & mask
        while true {
            let context = slots[slot]
            if context == Self.none || contexts[Int(context)].check == check { return context }
            slot = (slot &+ 1) & mask
        }
    }

    /// Counts `symbol` in the context with `hash`, whose number is `found`; a new one if that is `none`.
    @inline(__always)
    package mutating func learn(_ symbol: UInt8, in found: UInt32, hash: UInt64) {
        let context = Int(found == Self.none ? insert(hash) : found)
        let first = contexts[context].first
        var place = first
        while place != Self.none, followers[Int(place)].symbol != symbol { place = followers[Int(place)].next }
        if place == Self.none {
            contexts[context].first = UInt32(truncatingIfNeeded: followers.count)
            contexts[context].distinct &+= 1
            contexts[context].total &+= 1
            followers.append(Follower(next: first, symbol: symbol, count: 1))
        } else {
            followers[Int(place)].count &+= 1
            contexts[context].total &+= 1
            if followers[Int(place)].count == .max { halve(context) }
        }
    }

    /// The count of `symbol` in a context.
    @inline(__always)
    package func count(of symbol: UInt8, in context: UInt32) -> UInt32 {
        var place = contexts[Int(context)].first
        while place != Self.none {
            if followers[Int(place)].symbol == symbol { return UInt32(followers[Int(place)].count) }
            place = followers[Int(place)].next
        }
        return 0
    }

    /// Forgets everything if there is hardly room for more.
    package mutating func forgetIfFull() {
        guard contexts.count >= contextLimit || followers.count >= 2 * contextLimit else { return }
        contexts.removeAll(keepingCapacity: true)
        followers.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = Self.none }
    }

    private mutating func insert(_ hash: UInt64) -> UInt32 {
        if 2 * contexts.count >= slots.count { grow() }
        let number = UInt32(truncatingIfNeeded: contexts.count)
        contexts.append(Context(check: UInt32(truncatingIfNeeded: hash), first: Self.none))
        hashes.append(UInt32(truncatingIfNeeded: hash &>> 32))
        place(number)
        return number
    }

    private mutating func place(_ number: UInt32) {
        let mask = slots.count - 1
        var slot = Int(hashes[Int(number)]) & mask
        while slots[slot] != Self.none { slot = (slot + 1) & mask }
        slots[slot] = number
    }

    private mutating func grow() {
        slots = [UInt32](repeating: Self.none, count: 2 * slots.count)
        for number in contexts.indices { place(UInt32(number)) }
    }

    private mutating func halve(_ context: Int) {
        var (place, total) = (contexts[context].first, UInt16(0))
        while place != Self.none {
            let halved = followers[Int(place)].count - followers[Int(place)].count / 2
            followers[Int(place)].count = halved
            total &+= UInt16(halved)
            place = followers[Int(place)].next
        }
        contexts[context].total = total
    }
}
