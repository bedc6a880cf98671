import PithCore

/// The tokens of a tokenizer and their numbers: those of the model and those added to it.
///
/// All texts lie in one array of bytes, one behind the other, and numbers are found by an open table of hashes: some 20
/// bytes a token, where strings and a dictionary take 150.
struct TokenVocabulary: Sendable {
    private static let none = UInt32.max

    private var bytes: [UInt8] = []
    /// Where the text of each token lies in `bytes`; a start of `none` where a number has no token.
    private var places: [(start: UInt32, count: UInt32)] = []
    /// Numbers of tokens, by the hash of their texts, of which seven bits stand above the number: other texts are most
    /// often told by them, without a look at their bytes.
    private var slots: [UInt32]
    private static let numberMask: UInt32 = 1 << 24 - 1
    /// Tokens that slots hold.
    private var filled = 0
    /// Tokens that the model itself does not have.
    private var added: Set<UInt32> = []
    // A beginning that files cannot know, so that none can be made whose tokens all collide. It changes no result.
    private let seed = UInt64.random(in: .min ... .max)
    /// No number may be this high: no file may make a table much larger than itself.
    private let bound: Int

    /// A vocabulary with room for about `capacity` tokens, which grows if need be. No number may reach twice `limit` and
    /// some thousands, for numbers may have gaps; without it the capacity is all.
    init(capacity: Int, limit: Int? = nil) throws(PithError) {
        let limit = limit ?? capacity
        guard capacity <= Tokenizer.tokenLimit else { throw .data("has \(capacity) tokens, too many") }
        bound = min(2 * min(limit, Tokenizer.tokenLimit) + 4096, Tokenizer.tokenLimit)
        places.reserveCapacity(capacity)
        bytes.reserveCapacity(8 * capacity)
        slots = [UInt32](repeating: Self.none, count: Self.size(for: capacity))
    }

    private static func size(for count: Int) -> Int {
        var size = 16
        while 3 * size < 4 * count { size *= 2 }
        return size
    }

    /// One more than the highest number.
    var count: Int { places.count }

    /// How many tokens have texts of their own.
    var textCount: Int { filled }

    /// Adds a token of the model.
    mutating func insert(_ text: UnsafeBufferPointer<UInt8>, _ number: Int) throws(PithError) {
        guard (0..<bound).contains(number) else {
            throw .data(
                "the token '\(String(decoding: text, as: UTF8.self).shortened)' has the number \(number)",
                remedy: "it should be in 0…\(bound - 1)")
        }
        while places.count <= number { places.append((Self.none, 0)) }
        guard places[number].start == Self.none else {
            let names = [self.text(number) ?? "", String(decoding: text, as: UTF8.self)].map { "'\($0.shortened)'" }
            throw .data("the tokens \(names.joined(separator: " and ")) both have the number \(number)")
        }
        if 4 * (filled + 1) > 3 * slots.count { grow() }
        let (slot, tag) = slot(text)
        guard slots[slot] == Self.none else {
            throw .data(
                "the token '\(String(decoding: text, as: UTF8.self).shortened)' has the numbers "
                    + "\(slots[slot] & Self.numberMask) and \(number)")
        }
        try place(text, number)
        slots[slot] = tag | UInt32(number)
        filled += 1
    }

    /// Adds the token of the next number. Of equal texts the last has the number, as in llama.cpp.
    mutating func append(_ text: UnsafeBufferPointer<UInt8>) throws(PithError) {
        let number = places.count
        guard number < bound else { throw .data("has more than \(bound) tokens") }
        places.append((Self.none, 0))
        if 4 * (filled + 1) > 3 * slots.count { grow() }
        let (slot, tag) = slot(text)
        if slots[slot] == Self.none { filled += 1 }
        try place(text, number)
        slots[slot] = tag | UInt32(number)
    }

    private mutating func place(_ text: UnsafeBufferPointer<UInt8>, _ number: Int) throws(PithError) {
        guard bytes.count + text.count < Int(Self.none) else { throw .data("holds more than 4 GB of texts") }
        places[number] = (UInt32(bytes.count), UInt32(text.count))
        bytes += text
    }

    /// Adds what stands under `added_tokens`, which may be a token of the model.
    mutating func insert(added token: AddedToken) throws(PithError) {
        let text = token.content
        if let known = self.token(text) {
            guard known == token.number else {
                throw .data("the token '\(text.shortened)' has the numbers \(known) and \(token.number)")
            }
            return
        }
        try Array(text.utf8).withUnsafeBufferPointer { (text) throws(PithError) in try insert(text, token.number) }
        added.insert(UInt32(token.number))
    }

    /// All numbers and texts that the model itself has, by number.
    func forEachModelToken(_ body: (Int, ArraySlice<UInt8>) -> Void) {
        for number in places.indices where places[number].start != Self.none && isModelToken(number) {
            body(number, textBytes(number))
        }
    }

    /// The number of a token.
    func token(_ text: String) -> UInt32? {
        var text = text
        return text.withUTF8 { find($0) }
    }

    /// The number of a token.
    func token(_ text: UnsafeBufferPointer<UInt8>) -> UInt32? { find(text) }

    /// The number of a token of the model.
    func modelToken(_ text: UnsafeBufferPointer<UInt8>) -> UInt32? {
        find(text).flatMap { isModelToken(Int($0)) ? $0 : nil }
    }

    /// Whether the model itself has a token.
    func isModelToken(_ number: Int) -> Bool { added.isEmpty || !added.contains(UInt32(number)) }

    /// The number of a token of the model.
    func modelToken(_ text: String) -> UInt32? {
        var text = text
        return text.withUTF8 { modelToken($0) }
    }

    /// The token of a number.
    func text(_ number: Int) -> String? {
        guard has(number) else { return nil }
        return String(decoding: textBytes(number), as: UTF8.self)
    }

    /// Whether a number has a token.
    func has(_ number: Int) -> Bool { places.indices.contains(number) && places[number].start != Self.none }

    /// The bytes of a token's text, which must be there.
    func textBytes(_ number: Int) -> ArraySlice<UInt8> {
        let place = places[number]
        return bytes[Int(place.start)..<Int(place.start + place.count)]
    }

    private func find(_ text: UnsafeBufferPointer<UInt8>) -> UInt32? {
        let entry = slots[slot(text).index]
        return entry == Self.none ? nil : entry & Self.numberMask
    }

    /// The slot of a text, or the free one where it would stand, and what stands there above the number.
    private func slot(_ text: UnsafeBufferPointer<UInt8>) -> (index: Int, tag: UInt32) {
        let mask = slots.count - 1
        return bytes.withUnsafeBufferPointer { bytes in
            slots.withUnsafeBufferPointer { slots in
                let hash = text.hash(seed: seed)
                let tag = UInt32(truncatingIfNeeded: hash >> 57) << 24
                var slot = Int(truncatingIfNeeded: hash) & mask
                while slots[slot] != Self.none {
                    if slots[slot] & ~Self.numberMask == tag {
                        let place = places[Int(slots[slot] & Self.numberMask)]
                        if Int(place.count) == text.count, text.elementsEqual(bytes, from: Int(place.start)) { break }
                    }
                    slot = (slot + 1) & mask
                }
                return (slot, tag)
            }
        }
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt32](repeating: Self.none, count: 2 * old.count)
        for entry in old where entry != Self.none {
            let slot = textBytes(Int(entry & Self.numberMask)).withUnsafeBufferPointer { self.slot($0).index }
            slots[slot] = entry
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// A hash of all bytes; `seed` makes it another function.
    @inline(__always) func hash(seed: UInt64) -> UInt64 {
        var (hash, rest) = (seed ^ UInt64(truncatingIfNeeded: count), count)
        let raw = UnsafeRawBufferPointer(self)
        func mix(_ word: UInt64) {
            let product = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            hash = product.high ^ product.low
        }
        while rest >= 8 {
            mix(raw.loadUnaligned(fromByteOffset: count - rest, as: UInt64.self))
            rest -= 8
        }
        var last: UInt64 = 0
        for i in count - rest..<count { last = last << 8 | UInt64(self[i]) }
        mix(last)
        return hash ^ hash >> 32
    }

    /// Whether these bytes stand in `other` from `start` on, which has as many.
    @inline(__always) fileprivate func elementsEqual(_ other: UnsafeBufferPointer<UInt8>, from start: Int) -> Bool {
        for i in 0..<count where self[i] != other[start + i] { return false }
        return true
    }
}
