/// Collet's 64-bit checksum of bytes: tells damage from what was written, some gigabytes a second. Not for secrets.
///
/// Source: the XXH64 specification (xxHash, doc/xxhash_spec.md).
public struct XXHash64: Sendable {
    private var lanes: SIMD4<UInt64>
    private let seed: UInt64
    // What has not filled a stripe of 32 bytes yet.
    private var rest: [UInt8] = []
    private var total: UInt64 = 0

    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    /// No bytes yet.
    public init(seed: UInt64 = 0) {
        self.seed = seed
        lanes = [seed &+ Self.prime1 &+ Self.prime2, seed &+ Self.prime2, seed, seed &- Self.prime1]
        rest.reserveCapacity(32)
    }

    /// The checksum of `bytes`.
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = XXHash64()
        hash.update(bytes)
        return hash.value
    }

    /// The checksum of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { hash($0) } }

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        total &+= UInt64(bytes.count)
        var offset = 0
        if !rest.isEmpty {
            offset = min(32 - rest.count, bytes.count)
            rest.append(contentsOf: bytes[..<offset])
            guard rest.count == 32 else { return }
            rest.withUnsafeBytes { Self.absorb($0.baseAddress!, stripes: 1, into: &lanes) }
            rest.removeAll(keepingCapacity: true)
        }
        let stripes = (bytes.count - offset) / 32
        if stripes > 0 { Self.absorb(bytes.baseAddress! + offset, stripes: stripes, into: &lanes) }
        rest.append(contentsOf: bytes[(offset + 32 * stripes)...])
    }

    private static func absorb(_ bytes: UnsafeRawPointer, stripes: Int, into lanes: inout SIMD4<UInt64>) {
        var (a, b, c, d) = (lanes[0], lanes[1], lanes[2], lanes[3])
        for stripe in 0..<stripes {
            let place = bytes + 32 * stripe
            a = round(a, word(place))
            b = round(b, word(place + 8))
            c = round(c, word(place + 16))
            d = round(d, word(place + 24))
        }
        lanes = [a, b, c, d]
    }

    /// The checksum of all bytes so far.
    public var value: UInt64 {
        var hash = total >= 32 ? merged() : seed &+ Self.prime5
        hash &+= total
        rest.withUnsafeBytes { bytes in
            var offset = 0
            while bytes.count - offset >= 8 {
                hash ^= Self.round(0, Self.word(bytes.baseAddress! + offset))
                hash = Self.rotate(hash, 27) &* Self.prime1 &+ Self.prime4
                offset += 8
            }
            if bytes.count - offset >= 4 {
                let half = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                hash ^= UInt64(half) &* Self.prime1
                hash = Self.rotate(hash, 23) &* Self.prime2 &+ Self.prime3
                offset += 4
            }
            for byte in bytes[offset...] {
                hash ^= UInt64(byte) &* Self.prime5
                hash = Self.rotate(hash, 11) &* Self.prime1
            }
        }
        hash = (hash ^ hash >> 33) &* Self.prime2
        hash = (hash ^ hash >> 29) &* Self.prime3
        return hash ^ hash >> 32
    }

    private func merged() -> UInt64 {
        var hash = Self.rotate(lanes[0], 1)
        for (lane, count) in zip(1..., [UInt64](arrayLiteral: 7, 12, 18)) {
            hash = hash &+ Self.rotate(lanes[lane], count)
        }
        for lane in 0..<4 { hash = (hash ^ Self.round(0, lanes[lane])) &* Self.prime1 &+ Self.prime4 }
        return hash
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        rotate(lane &+ word &* prime2, 31) &* prime1
    }
    @inline(__always)
    private static func rotate(_ x: UInt64, _ bits: UInt64) -> UInt64 { x &<< bits | x &>> (64 &- bits) }
    @inline(__always)
    private static func word(_ place: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: place.loadUnaligned(as: UInt64.self))
    }
}
