import PithCore
import PithFormats
import Testing

@Suite struct JSONTests {
    @Test(
        arguments: [
            ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-12", -12),
            ("9223372036854775807", .integer(.max)), ("9223372036854775808", .real(0x1p63)), ("-0", .real(-0.0)),
            ("1.5e3", .real(1500)), ("1E-2", .real(0.01)), ("\"\"", ""), ("\"a\\u00e9\\n\\/\"", "aé\n/"),
            ("\"\\ud83d\\ude00\"", "😀"), ("\"😀\"", "😀"), ("[]", .array([])),
            ("[1,[2],{}]", [1, [2], .object(JSONObject())]),
            ("{\"a\": 1, \"b\": [null]}", ["a": 1, "b": [nil]]),
        ] as [(String, JSONValue)])
    func parses(_ text: String, _ expected: JSONValue) throws {
        let value = try JSONValue(parsing: text)
        #expect(value == expected)
        #expect(try JSONValue(parsing: value.compactText) == value)
        #expect(try JSONValue(parsing: value.prettyText) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "tru", "01", "-", "1.", ".5", "1e", "+1", "1e999", "NaN", "\"", "\"\u{1}\"", "\"\\x\"",
        "\"\\u12g4\"", "\"\\ud83d\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "[", "[1,]", "[1 2]", "]", "{", "{}}",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "1 2", "// x",
        "\u{FEFF}1",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: PithError.self) { try JSONValue(parsing: text) }
        #expect(error?.kind == .data)
        #expect(error?.place?.contains("byte") == true)
    }

    @Test func refusesBytesThatAreNoText() {
        #expect(throws: PithError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: PithError.self) { try JSONValue(parsing: [0x22, 0x5C, 0x6E, 0xC3, 0x22]) }
    }

    @Test func limitsDepth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSONValue(parsing: nested(JSONValue.maximumDepth))
        #expect(throws: PithError.self) { try JSONValue(parsing: nested(JSONValue.maximumDepth + 1)) }
        #expect(throws: PithError.self) { try JSONValue(parsing: nested(1_000_000)) }
    }

    @Test func keepsOrderAndExactKeys() throws {
        // U+00E9 and its decomposition are equal as `String`s, and different keys.
        let text = "{\"z\":1,\"\u{E9}\":2,\"e\u{301}\":3,\"a\":4}"
        let value = try JSONValue(parsing: text)
        #expect(value.compactText == text)
        #expect(value["\u{E9}"] == 2)
        #expect(value["e\u{301}"] == 3)
    }

    @Test func findsMembersOfLargeObjects() throws {
        var object = JSONObject()
        for i in 0..<1000 {
            let isNew = object.insert("key\(i)", .integer(i))
            #expect(isNew)
        }
        let isNew = object.insert("key500", 0)
        #expect(!isNew)
        object["key7"] = nil
        #expect(object.count == 999)
        #expect(object["key7"] == nil)
        #expect(object["key999"] == 999)
    }

    @Test func writesControlCharacters() throws {
        let text = String(String.UnicodeScalarView((0..<0x80).compactMap { Unicode.Scalar($0 as Int) }))
        #expect(try JSONValue(parsing: JSONValue.string(text).compactText) == .string(text))
    }

    @Test func namesTheKeyThatIsWrong() throws {
        let reader = JSONReader(try JSONValue(parsing: "{\"a\":{\"b\":[1,\"x\"]},\"n\":1.5,\"w\":3.0}"))
        let error = #expect(throws: PithError.self) { try reader.member("a").member("b").array()[1].integer() }
        #expect(error?.place == "key a.b[1]")
        #expect(throws: PithError.self) { try reader.member("n").integer() }
        #expect(try reader.member("w").integer() == 3)
        #expect(throws: PithError.self) { try reader.member("w").integer(in: 0...2) }
        #expect(try reader.optional("missing")?.path == nil)
    }
}
