import Pith
import PithCore
import PithData
import PithTensor
import Testing

/// What every method of the data plane promises.
struct DataMethodLawTests {
    static let methods = DataCatalogue.all.map { $0.identifier }
    static let context = CodingContext(pool: ThreadPool(threads: 2), models: .standard)

    static let samples: [(name: String, bytes: [UInt8])] = {
        var random = SeededGenerator(seed: 11)
        let noise = (0..<1000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let words = ["the ", "codec ", "of ", "a ", "model,\n", "bytes ", "ÄÖ "]
        let text = (0..<800).flatMap { _ in Array(words[Int(random.next() % 7)].utf8) }
        return [
            ("nothing", []), ("one byte", [7]), ("zeros", [UInt8](repeating: 0, count: 70_000)),
            ("ones", [UInt8](repeating: 255, count: 999)), ("noise", noise), ("text", text),
            ("alternating", (0..<4097).map { $0 % 2 == 0 ? 0 : 255 }), ("ramp", (0..<5000).map { UInt8($0 & 255) }),
        ]
    }()

    /// The samples for a method: language models are given short ones alone, which are as good and take less time.
    static func samples(for method: any DataMethod) -> [(name: String, bytes: [UInt8])] {
        method.modelName == nil ? samples : samples.filter { $0.bytes.count < 2000 }
    }

    @Test(arguments: methods)
    func roundTrip(identifier: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: identifier))
        for (name, bytes) in Self.samples(for: method) {
            guard let coded = try? method.encode(bytes, Self.context) else { continue }  // not of the method's kind
            var opened: [UInt8] = []
            try method.decode(CodedPayload(coded), count: bytes.count, into: &opened, Self.context)
            #expect(opened == bytes, "\(identifier): \(name)")
        }
    }

    @Test(arguments: methods)
    func cutPayloadGivesRightBytesAndAnError(identifier: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: identifier))
        for (name, bytes) in Self.samples(for: method) where bytes.count > 1 {
            guard let coded = try? method.encode(bytes, Self.context), coded.count > 1 else { continue }
            for length in [0, 1, coded.count / 3, coded.count / 2, coded.count - 1] {
                var opened: [UInt8] = []
                let payload = CodedPayload(ByteRegion(copying: Array(coded.prefix(length))), isCut: true)
                try? method.decode(payload, count: bytes.count, into: &opened, Self.context)
                #expect(bytes.starts(with: opened), "\(identifier): \(name) cut to \(length) of \(coded.count)")
            }
        }
    }

    @Test(arguments: methods)
    func damageNeverCrashes(identifier: String) throws {
        let method = try DataCatalogue.method(for: Spec(parsing: identifier))
        var random = SeededGenerator(seed: 5)
        for (_, bytes) in Self.samples(for: method).prefix(7) {
            guard let coded = try? method.encode(bytes, Self.context), !coded.isEmpty else { continue }
            for _ in 0..<8 {
                var damaged = coded
                damaged[Int(random.next() % UInt64(coded.count))] ^= UInt8(1 << (random.next() % 8))
                var opened: [UInt8] = []
                try? method.decode(CodedPayload(damaged), count: bytes.count, into: &opened, Self.context)
                #expect(opened.count <= bytes.count)
            }
        }
    }
}
