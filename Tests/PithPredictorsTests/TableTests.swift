import Foundation
import Pith
import PithCore
import PithPredictors
import PithTensor
import PithTestSupport
import Testing

/// Tables: the same bytes again from any text, and what latent classes are worth.
struct TableTests {
    static let context = CodingContext(pool: ThreadPool(threads: 2))

    /// Codes and decodes; the size of the payload.
    private func codedSize(_ bytes: [UInt8], _ spec: String = "table") throws -> Int {
        let method = try DataCatalogue.method(for: Spec(parsing: spec))
        let coded = try method.encode(bytes, Self.context)
        var opened: [UInt8] = []
        try method.decode(CodedPayload(coded), count: bytes.count, into: &opened, Self.context)
        #expect(opened == bytes, "\(spec)")
        return coded.count
    }

    @Test(arguments: [
        "a,b\n1,2\n3,4\n5,6\n7,8\n", "a,b\r\n1,2\r\n3,4\r\n5,6\r\n7,8", "1,2\n3,4\n5\n6,7\n8,9\n,\n10,11\n12,13",
        "n;\"x;y\"\n1;\"a;b\"\n2;\"a\nb\"\n3;\"\"\"q\"\n4;z\n5;z\n",
        "d\tv\n-0.50\t007\n1.25\t008\n-3.00\t010\n0.00\t\n2.00\t123\n",
        "a,b\n1,-0\n2,+1\n3,1e5\n4,99999999999999999999\n5,-\n6,.\n",
        "a|b\n\u{1}|é\n\0|ü\n\0|ü\n\u{1}|é\r\n\u{1}|ö\n\n\n",
        "x,y,y\n" + String(repeating: "1,b,b\n2,a,b\n", count: 40), "\"a,b\n\"c,d\n\"e,f\n\"g,h\n\"i,j\n",
    ])
    func anyTextComesBackOrIsRefused(text: String) throws {
        for spec in ["table", "table:coder=block,rowClasses=2", "table:coder=lz,rowClasses=3,columnClasses=2"] {
            do { _ = try codedSize(Array(text.utf8), spec) } catch let error as PithError {
                #expect(error.kind == .usage)
            }
        }
    }

    @Test func plainTablesAreSeen() throws {
        for (text, delimiter) in [("a,b\n1,2\n3,4\n5,6\n7,8\n", ","), ("a\tb,c\n1\t2\n3\t4\n5\t6\n7\t8,9", "\t")] {
            let table = try #require(TableText(Array(text.utf8)))
            #expect(table.form.delimiter == delimiter.utf8.first)
            #expect(table.columns.count == 2 && table.rowCount == 4 && table.irregular.count == 1)
        }
        #expect(TableText(Array("no table\nat all\n".utf8)) == nil)
        #expect(TableText([]) == nil)
    }

    @Test func numbersAreWrittenAsTheyWere() {
        for text in ["0", "-1", "12.50", "-0.05", "123456789012345678"] {
            let form = NumberForm([Array(text.utf8)])
            #expect(form?.value(Array(text.utf8)).map { form?.text($0) ?? [] } == Array(text.utf8), "\(text)")
        }
        for text in ["-0", "+1", "1e5", "", "-", ".5", "5.", "1.2.3"] { #expect(NumberForm([Array(text.utf8)]) == nil) }
        #expect(NumberForm([Array("007".utf8), Array("010".utf8)])?.digits == 3)
    }

    /// A latent block model: classes of rows and columns at random, and a distribution of 4 values for each pair.
    private struct BlockModel {
        var text: [UInt8] = []
        /// What is known of cells and classes, in bytes: no code can be shorter on average.
        var entropy = 0.0

        init(rows: Int, columns: Int, classes: Int, seed: UInt64) {
            var random = SeededGenerator(seed: seed)
            let blocks = (0..<classes * classes).map { _ -> [Float] in
                let weights = (0..<4).map { _ in pow(random.uniform(), 4) + 0.001 }
                return weights.map { $0 / weights.reduce(0, +) }
            }
            let columnKinds = (0..<columns).map { _ in random.index(below: classes) }
            for _ in 0..<rows {
                let kind = random.index(below: classes)
                for column in 0..<columns {
                    let block = blocks[kind * classes + columnKinds[column]]
                    var (value, rest) = (0, random.uniform() - block[0])
                    while rest > 0, value < 3 {
                        value += 1
                        rest -= block[value]
                    }
                    text += [48 + UInt8(value), column + 1 < columns ? 44 : 10]
                    entropy -= block.reduce(0) { $0 + Double($1) * log2(Double($1)) } / 8
                }
            }
            entropy += Double(rows + columns) * log2(Double(classes)) / 8
        }
    }

    @Test func blockCodingApproachesTheEntropyOfABlockModel() throws {
        let model = BlockModel(rows: 1500, columns: 40, classes: 4, seed: 2)
        let coded = try codedSize(model.text, "table:coder=block,rowClasses=4,columnClasses=4")
        // Classes that are found wrong, and what adaptive statistics pay to learn, are within 8 %.
        #expect(Double(coded) < 1.08 * model.entropy + 100, "\(coded) bytes, entropy \(model.entropy)")
    }

    @Test(arguments: ["block", "lz"])
    func classesMakeTheSameCoderShorter(coder: String) throws {
        let model = BlockModel(rows: 1500, columns: 40, classes: 4, seed: 2)
        let plain = try codedSize(model.text, "table:coder=\(coder),rowClasses=1,columnClasses=1")
        let classes = try codedSize(model.text, "table:coder=\(coder),rowClasses=4,columnClasses=4")
        #expect(Double(classes) < 0.9 * Double(plain), "\(classes) with classes, \(plain) without")
    }

    @Test func damagedTablesAreRefusedOrReadable() throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "table"))
        let bytes = Array(("a,b,c\n" + (0..<200).map { "\($0 % 7),\($0 * 3),t\($0 % 5)\n" }.joined()).utf8)
        let coded = try method.encode(bytes, Self.context)
        for place in coded.indices {
            var damaged = coded
            damaged[place] ^= 0x55
            var opened: [UInt8] = []
            try? method.decode(CodedPayload(damaged), count: bytes.count, into: &opened, Self.context)
            #expect(opened.count <= bytes.count)
        }
    }

    /// Pairs of sentences with a number, a kind and a score, as such tables are published.
    private static func pairs(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        let words = (0..<500).map { _ in
            String(
                decoding: (0..<2 + random.index(below: 8)).map { _ in UInt8(97 + random.index(below: 26)) },
                as: UTF8.self)
        }
        // Few words are common, most are rare.
        func word() -> String { words[Int(pow(random.uniform(), 3) * 500)] }
        var text = "kind,year,number,score,first,second\n"
        for row in 0..<count {
            let kind = random.index(below: 3)
            let first = (0..<6 + random.index(below: 6)).map { _ in word() }
            let changes = random.index(below: 6)
            var second = first
            for _ in 0..<changes { second[random.index(below: first.count)] = word() }
            text += ["news", "captions", "forums"][kind] + ",\(2012 + kind * 2),\(1000 + 3 * row),"
            text += "\(5 - changes).\(random.index(below: 4) * 25),"
            text += "\(first.joined(separator: " ")),\"\(second.joined(separator: " "))\"\n"
        }
        return Array(text.utf8)
    }

    @Test func columnsOfSentencesAreSmallerThanLines() throws {
        let bytes = Self.pairs(800, seed: 6)
        let (columns, lines) = (try codedSize(bytes), try codedSize(bytes, "lean"))
        #expect(columns < lines, "\(columns) by columns, \(lines) by lines")
    }

    /// Columns of which some follow from others and one counts on: no order of bytes shows that as well.
    @Test func columnsOfValuesApproachTheirEntropy() throws {
        var random = SeededGenerator(seed: 9)
        var (text, bits) = ("kind,year,number,score,amount,place\n", 0.0)
        for row in 0..<3000 {
            let kind = random.index(below: 3)
            let score = "\(5 - kind).\(random.index(below: 4) * 25)"
            let place = ["north", "south", "east", "west"][(random.index(below: 2) + kind) % 4]
            text += ["news", "captions", "forums"][kind] + ",\(2012 + 2 * kind),\(1000 + 3 * row),\(score),"
            text += "\(random.index(below: 100 * (kind + 1))),\(place)\n"
            bits += log2(3) + 2 + log2(Double(100 * (kind + 1))) + 1
        }
        let bytes = Array(text.utf8)
        let (columns, lines) = (try codedSize(bytes), try codedSize(bytes, "mix"))
        #expect(columns < lines, "\(columns) by columns, \(lines) by lines")
        #expect(Double(columns) < 1.25 * bits / 8, "\(columns) bytes, entropy \(bits / 8)")
    }

    @Test(.enabled(if: TestData.has("stsb/sts-dev.csv"), "needs stsb"))
    func aRealTableIsSmallerThanXzMakesIt() throws {
        // xz -9e: 72 092 bytes.
        let bytes = try Files.bytes(#require(TestData.path("stsb/sts-dev.csv")))
        #expect(try codedSize(bytes) < 65_000)
    }
}
