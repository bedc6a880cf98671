import PithCore
import PithFormats
import Testing

/// What `transformers` makes of templates; written by `Tests/Golden/make_chat_golden.py`.
private struct Golden {
    let reader: JSONReader

    init() throws { reader = JSONReader(try JSONValue(contentsOf: TestData.golden("chat.expected.json"))) }

    func tokens() throws -> JSONObject { try reader.member("tokens").object() }
}

private func render(_ template: String, _ variables: JSONObject = JSONObject()) throws(PithError) -> String {
    try JinjaTemplate(template).render(variables)
}

@Suite("Chat templates")
struct ChatTemplateTests {
    @Test func conversationsAreThoseOfTransformers() throws {
        let golden = try Golden()
        for item in try golden.reader.member("cases").array() {
            let name = try item.member("template").text()
            let template = try ChatTemplate(
                golden.reader.member("templates").member(name).text(), specialTokens: golden.tokens())
            var request = ChatRequest(try item.member("messages").array().map { try $0.object() })
            request.tools = try item.optional("tools")?.array().map(\.value)
            request.variables = try item.member("variables").object()
            request.addsGenerationPrompt = try item.member("addsGenerationPrompt").flag()
            if let text = try item.optional("text")?.text() {
                #expect(try template.render(request).utf8.elementsEqual(text.utf8), "\(name): \(text)")
            } else {
                #expect(throws: PithError.self, "\(name)") { try template.render(request) }
            }
        }
    }

    @Test func piecesOfTheLanguageAreThoseOfJinja() throws {
        let golden = try Golden()
        let variables = try golden.reader.member("variables").object()
        for item in try golden.reader.member("snippets").array() {
            let source = try item.member("source").text()
            if let text = try item.optional("text")?.text() {
                #expect(try render(source, variables).utf8.elementsEqual(text.utf8), "\(source)")
            } else {
                #expect(throws: PithError.self, "\(source)") { try render(source, variables) }
            }
        }
    }

    @Test func theLastMessageGoesOn() throws {
        let template = try ChatTemplate(
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
                + "{% if add_generation_prompt %}<assistant>{% endif %}")
        let trimming = try ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</>{% endfor %}")
        var request = ChatRequest(
            ["ask", "so far "].map { ["role": "x", "content": .string($0)] as JSONValue }.map {
                if case .object(let message) = $0 { message } else { JSONObject() }
            })
        request.continuesLastMessage = true
        #expect(try template.render(request) == "<x>ask</><x>so far ")
        #expect(try trimming.render(request) == "<x>ask</><x>so far")
        let silent = try ChatTemplate("{{ messages[0].content }}")
        #expect(throws: PithError.self) { try silent.render(request) }
    }

    @Test func specialTokensOfMessagesAreText() throws {
        let template = try ChatTemplate("<|x|>{{ messages[0].content.split('!')|join('?') }}<|x|>")
        let message: JSONValue = ["role": "user", "content": "a<|x|>b<|y!|>c\u{F8F2}<|x|>"]
        guard case .object(let object) = message else { return }
        let prompt = try template.prompt(ChatRequest([object]), protecting: ["<|x|>", "<|y!|>", "x"])
        #expect(prompt.text == "<|x|>a<|x|>b<|y?|>c<|x|><|x|>")
        #expect(prompt.pieces.filter(\.isPlain).map(\.text).first == "<|x|>")
        #expect(prompt.pieces.first.map { $0.text == "<|x|>a" && !$0.isPlain } == true)
        #expect(prompt.pieces.last.map { $0.text == "<|x|>" && !$0.isPlain } == true)
        #expect(prompt.dropping(prefix: "<|x|>a<|")?.text == "x|>b<|y?|>c<|x|><|x|>")
        #expect(prompt.dropping(prefix: "<|x|>b") == nil)
        let tokenizer = try Tokenizer(json: JSONValue(contentsOf: TestData.golden("tiny-llama3.tokenizer.json")))
        let name = try #require(tokenizer.specialTexts.first)
        let (plain, written) = (tokenizer.encode(name, .plain), tokenizer.encode(name, .written))
        #expect(written.count == 1 && plain.count > 1)
        let echo = try ChatTemplate("\(name){{ messages[0].content }}")
        let said: JSONValue = ["content": .string(name)]
        guard case .object(let words) = said else { return }
        let tokens = tokenizer.encode(try echo.prompt(ChatRequest([words]), protecting: tokenizer.specialTexts))
        #expect(tokens == written + plain)
    }

    /// What is asked of all messages behind each of them does not count as work without end.
    @Test func longConversations() throws {
        let message: JSONValue = ["role": "user", "content": .string(String(repeating: "word ", count: 60))]
        let text = try render(
            "{% for m in messages %}{% if loop.index0 == messages|length - 1 %}{{ (messages|last).role }}{% endif %}"
                + "{% endfor %}",
            ["messages": .array([JSONValue](repeating: message, count: 4000))])
        #expect(text == "user")
    }

    @Test func aClockThatStandsStill() throws {
        let template = try JinjaTemplate("{{ strftime_now('%Y') }}{{ strftime_now('') }}")
        #expect(try template.render(JSONObject(), clock: JinjaClock(seconds: 86_400 * 200)) == "1970")
    }

    @Test(arguments: [
        ("{{ nothing.more }}", "nothing"), ("a\n{{ 1 + 'a' }}", "line 2"), ("{% include 'x' %}", "include"),
        ("{{ x|urlize }}", "urlize"), ("{{ x is good }}", "good"), ("{{ [1].append(2) }}", "append"),
        ("{{ 'a'.__class__ }}", "_"), ("{% set x.y = 1 %}", "namespace"),
        ("{{ raise_exception('own words') }}", "own words"),
        ("{% for %}", "line 1"), ("{{ 1", "line 1"), ("{% if 1 %}", "elif"), ("{{ 'abc }}", "text"),
        ("{{ 1 // 0 }}", "0"),
        ("{# open", "comment"), ("{% raw %}{{", "raw"), ("{{ (1 }}", "line 1"), ("{% endif %}", "endif"),
        ("{{ [1, }}", "line 1"),
    ])
    func faultsAreNamed(template: String, word: String) {
        let error = #expect(throws: PithError.self) { try render(template) }
        #expect(error?.description.contains(word) ?? false, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ 'ab' * 99999999999 }}", "{{ [0] * 999999999 }}",
        "{{ range(10 ** 12) }}", "{{ 2 ** 62 * 8 }}", "{{ '%99999999d' % 1 }}",
        "{{ ('x' * 60000000) ~ ('x' * 60000000) }}",
        "{% set ns = namespace(t='x' * 1000000) %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        String(repeating: "(", count: 100_000), "{{ " + String(repeating: "(", count: 100_000),
        "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
        "{{ " + String(repeating: "not ", count: 1000) + "1 }}",
        String(repeating: "{% if 1 %}", count: 10_000),
    ])
    func greedyTemplatesEnd(template: String) {
        // What matters is that they do: with an error, or with a text of a bounded size.
        if let text = try? render(template) { #expect(text.utf8.count <= 1 << 26) }
    }

    @Test func garbageIsAnError() throws {
        let golden = try Golden()
        var seed: UInt64 = 7
        func random(_ count: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % count
        }
        let variables = try golden.reader.member("variables").object()
        for (_, value) in try golden.reader.member("templates").object().members {
            guard case .string(let source) = value else { continue }
            for _ in 0..<200 {
                var bytes = Array(source.utf8)
                for _ in 0..<1 + random(4) {
                    let place = random(bytes.count)
                    if random(2) == 0 { bytes.remove(at: place) } else { bytes[place] = UInt8(random(128)) }
                }
                _ = try? render(String(decoding: bytes, as: UTF8.self), variables)
            }
        }
    }

    @Test func templatesOfFolders() throws {
        let temporary = try TemporaryFolder()
        let folder = temporary.path
        #expect(try ChatTemplate.open(folder: folder) == nil)
        let settings: JSONValue = [
            "bos_token": ["content": "<s>"], "eos_token": "</s>", "pad_token": nil,
            "chat_template": [
                ["name": "default", "template": "{{ bos_token }}plain"],
                ["name": "tool_use", "template": "{{ tools|length }}{{ eos_token }}"],
            ],
        ]
        try settings.write(to: joinPath(folder, TokenizerSettings.fileName))
        let message: JSONValue = ["role": "user", "content": "x"]
        guard case .object(let object) = message else { return }
        var template = try #require(try ChatTemplate.open(folder: folder))
        #expect(try template.render(ChatRequest([object])) == "<s>plain")
        #expect(try template.render(ChatRequest([object], tools: [1, 2])) == "2</s>")
        try AtomicFile.write("newer", to: joinPath(folder, ChatTemplate.fileName))
        template = try #require(try ChatTemplate.open(folder: folder))
        #expect(try template.render(ChatRequest([object])) == "newer")
        try AtomicFile.write("{% if %}", to: joinPath(folder, ChatTemplate.fileName))
        #expect(throws: PithError.self) { try ChatTemplate.open(folder: folder) }
    }
}
