import PithHub
import PithTestSupport
import Testing

/// SHA-1 of what FIPS 180 and Git give as examples.
@Suite struct SHA1Tests {
    private func digest(_ pieces: [[UInt8]]) -> String {
        var digest = SHA1()
        for piece in pieces { piece.withUnsafeBytes { digest.update($0) } }
        return digest.hexDigest()
    }

    @Test func examples() {
        #expect(digest([]) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(digest([Array("abc".utf8)]) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
        #expect(digest([Array(long.utf8)]) == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
        #expect(TestHub.gitSum(Array("hello\n".utf8)) == "ce013625030ba8dba906f756967f9e9ca394464a")
    }

    /// The same however the bytes come.
    @Test(arguments: [1, 63, 64, 65, 1000]) func pieces(size: Int) {
        let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        let pieces = stride(from: 0, to: million.count, by: size).map {
            Array(million[$0..<min(million.count, $0 + size)])
        }
        #expect(digest(pieces) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f")
    }
}
