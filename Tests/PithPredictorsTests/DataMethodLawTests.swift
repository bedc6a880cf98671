import Pith
import PithCore
import PithPredictors
import PithTensor
import Testing

/// What every method of the data plane promises, checked on samples; what is found wrong is in `violations`.
struct DataMethodLaws {
    let method: any DataMethod
    private(set) var violations: [String] = []
    static let context = CodingContext(pool: ThreadPool(threads: 2), models: .standard)

    init(_ method: any DataMethod) { self.method = method }

    /// Bytes, and the methods that are for bytes of this kind alone; all others must take them too.
    struct Sample {
        var name: String
        var bytes: [UInt8]
    }

    /// Samples that are of no kind.
    static let plain: [Sample] = {
        var random = SeededGenerator(seed: 11)
        let noise = (0..<1000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let words = ["the ", "codec ", "of ", "a ", "model,\n", "bytes ", "ÄÖ "]
        let text = (0..<800).flatMap { _ in Array(words[Int(random.next() % 7)].utf8) }
        return [
            Sample(name: "nothing", bytes: []), Sample(name: "one byte", bytes: [7]),
            Sample(name: "zeros", bytes: [UInt8](repeating: 0, count: 70_000)),
            Sample(name: "ones", bytes: [UInt8](repeating: 255, count: 999)), Sample(name: "noise", bytes: noise),
            Sample(name: "text", bytes: text),
            Sample(name: "alternating", bytes: (0..<4097).map { $0 % 2 == 0 ? 0 : 255 }),
            Sample(name: "ramp", bytes: (0..<5000).map { UInt8($0 & 255) }),
        ]
    }()

    /// What methods for one kind of content are for, by their names.
    static let kinds: [String: Sample] = [
        "table": Sample(
            name: "rows of cells",
            bytes: Array(
                ("id,name,score\n" + (0..<120).map { "\($0),name\($0 % 7),\($0 * $0 % 11).5\n" }.joined()).utf8)),
        // An IDX file of 64 images of 4 by 4.
        "circuit": Sample(
            name: "images",
            bytes: [0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 4, 0, 0, 0, 4] + (0..<1024).map { UInt8($0 / 16 % 5 * ($0 % 4)) }
        ),
    ]

    /// The samples for the method: language models are given short ones alone, which are as good and take less time.
    private var samples: [Sample] {
        let plain = method.modelName == nil ? Self.plain : Self.plain.filter { $0.bytes.count < 2000 }
        return plain + Array(Self.kinds.values)
    }

    /// What `encode` makes of a sample. A method for one kind of content takes that, and may refuse other content by a
    /// usage error; any other takes everything.
    private mutating func encoded(_ sample: Sample) -> [UInt8]? {
        do throws(PithError) { return try method.encode(sample.bytes, Self.context) } catch {
            let own = Self.kinds[type(of: method).identifier]
            if own == nil || own?.name == sample.name || error.kind != .usage { report(sample, "refused: \(error)") }
            return nil
        }
    }

    private mutating func report(_ sample: Sample, _ message: String) {
        violations.append("\(type(of: method).identifier), \(sample.name): \(message)")
    }

    /// Decodes; nil in place of an error.
    private func decoded(_ payload: CodedPayload, count: Int) -> (bytes: [UInt8], error: PithError?) {
        var opened: [UInt8] = []
        do throws(PithError) {
            try method.decode(payload, count: count, into: &opened, Self.context)
            return (opened, nil)
        } catch { return (opened, error) }
    }

    /// What was coded comes back.
    mutating func checkRoundTrips() {
        for sample in samples {
            guard let coded = encoded(sample) else { continue }
            let (bytes, error) = decoded(CodedPayload(coded), count: sample.bytes.count)
            if let error { report(sample, "not decoded: \(error)") }
            if bytes != sample.bytes { report(sample, "other bytes") }
        }
    }

    /// A cut payload gives right bytes, and an error unless these are all.
    mutating func checkCuts() {
        for sample in samples where sample.bytes.count > 1 {
            guard let coded = encoded(sample) else { continue }
            for length in Set([0, 1, coded.count / 3, coded.count / 2, coded.count - 1])
            where (0..<coded.count) ~= length {
                let payload = CodedPayload(ByteRegion(copying: Array(coded.prefix(length))), isCut: true)
                let (bytes, error) = decoded(payload, count: sample.bytes.count)
                if !sample.bytes.starts(with: bytes) {
                    report(sample, "wrong bytes when cut to \(length) of \(coded.count)")
                }
                if error == nil, bytes.count != sample.bytes.count {
                    report(sample, "no error when cut to \(length) of \(coded.count)")
                }
            }
        }
    }

    /// Damage never ends in a crash, nor in more or, without an error, fewer bytes than were asked for. That bytes are
    /// wrong is noticed by the checksums of archives.
    mutating func checkDamage() {
        var random = SeededGenerator(seed: 5)
        for sample in samples {
            guard let coded = encoded(sample), !coded.isEmpty else { continue }
            for _ in 0..<8 {
                var damaged = coded
                damaged[Int(random.next() % UInt64(coded.count))] ^= UInt8(1 << (random.next() % 8))
                let (bytes, error) = decoded(CodedPayload(damaged), count: sample.bytes.count)
                if bytes.count > sample.bytes.count { report(sample, "more bytes than there were") }
                if error == nil, bytes.count != sample.bytes.count { report(sample, "fewer bytes and no error") }
            }
        }
    }
}

struct DataMethodLawTests {
    static let methods = DataCatalogue.all.map { $0.identifier }

    private func laws(_ identifier: String) throws -> DataMethodLaws {
        DataMethodLaws(try DataCatalogue.method(for: Spec(parsing: identifier)))
    }

    @Test(arguments: methods)
    func roundTrip(identifier: String) throws {
        var laws = try laws(identifier)
        laws.checkRoundTrips()
        #expect(laws.violations == [])
    }

    @Test(arguments: methods)
    func cutPayloadGivesRightBytesAndAnError(identifier: String) throws {
        var laws = try laws(identifier)
        laws.checkCuts()
        #expect(laws.violations == [])
    }

    @Test(arguments: methods)
    func damageNeverCrashes(identifier: String) throws {
        var laws = try laws(identifier)
        laws.checkDamage()
        #expect(laws.violations == [])
    }

    @Test("methods that refuse everything, or make nothing of damage, break the laws")
    func badMethods() {
        var refusing = DataMethodLaws(BadMethod(refuses: true))
        refusing.checkRoundTrips()
        #expect(refusing.violations.count == DataMethodLaws.plain.count + DataMethodLaws.kinds.count)
        var careless = DataMethodLaws(BadMethod(refuses: false))
        careless.checkRoundTrips()
        #expect(careless.violations == [])
        careless.checkCuts()
        #expect(careless.violations.contains { $0.contains("text: wrong bytes when cut") })
        let before = careless.violations.count
        careless.checkDamage()
        #expect(careless.violations[before...].contains { $0.hasSuffix("fewer bytes and no error") })
    }
}

/// Takes nothing; or stores bytes with their sum in front, puts zeros where they are missing, and stops without a word
/// where the sum is wrong.
private struct BadMethod: DataMethod {
    static let entry = MethodEntry(identifier: "bad", paper: nil, summary: "breaks the laws", options: [])
    private let refuses: Bool

    init(refuses: Bool) { self.refuses = refuses }
    init(_ options: OptionValues) throws(PithError) { refuses = true }

    func memory(for count: Int, _ context: CodingContext) -> Int { count }

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        if refuses { throw .usage("no") }
        return [input.reduce(0, &+)] + input
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        var bytes = payload.region.withBytes { Array($0.dropFirst()) }
        let sum = payload.region.withBytes { $0.first ?? 0 }
        if !payload.isCut, bytes.reduce(0, &+) != sum { return }
        bytes += [UInt8](repeating: 0, count: max(0, count - bytes.count))
        output += bytes.prefix(count)
    }
}
