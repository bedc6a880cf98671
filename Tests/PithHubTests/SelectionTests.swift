import PithCore
import PithHub
import PithTestSupport
import Testing

/// Names of repositories, patterns, and what is chosen of a listing.
@Suite struct SelectionTests {
    private static let address = "some/model"

    private func choose(
        _ paths: [String], _ selection: FileSelection = FileSelection(), of address: String = Self.address
    ) throws -> [String] {
        let files = paths.map { HubFile(path: $0, size: $0.utf8.count * 1000) }
        return try selection.choose(from: files, of: RepositoryAddress(parsing: address)).map(\.path)
    }

    private static let gguf = [
        "README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "big/m-F16-00001-of-00002.gguf", "big/m-F16-00002-of-00002.gguf",
        "mmproj-m.gguf",
    ]

    @Test func addresses() throws {
        let plain = try RepositoryAddress(parsing: "org/na.me_1-x")
        #expect(plain.repository == "org/na.me_1-x" && plain.revision == "main" && plain.file == nil)
        let whole = try RepositoryAddress(parsing: "org/name/d/f.gguf@refs/pr/1")
        #expect(whole.repository == "org/name" && whole.revision == "refs/pr/1" && whole.file == "d/f.gguf")
        for text in ["org/name", "org/name@v1", "org/name/d/f.gguf@refs/pr/1"] {
            #expect(try RepositoryAddress(parsing: text).description == text)
        }
    }

    @Test(arguments: [
        "", "name", "/name", "org/", "./name", "../x", "org/..", "org/a--b", "org/a..b", "org/-a", "org/a.", "o rg/a",
        "org/a\u{0}", "org/é", "org/name@", "org/name@../../x", "org/name@a//b", "org/name@/a", "org/name@a b",
        "org/name/../x", "org/name/", "org/" + String(repeating: "a", count: 97),
    ])
    func addressesThatAreNone(_ text: String) {
        #expect(throws: PithError.self) { try RepositoryAddress(parsing: text) }
    }

    /// As `fnmatch.fnmatchcase` of Python says.
    @Test(arguments: [
        ("*.json", "a/b.json", true), ("*.json", "b.jsonl", false), ("a?c", "abc", true), ("a?c", "ac", false),
        ("[abc].x", "b.x", true), ("[!abc].x", "b.x", false), ("[!abc].x", "d.x", true), ("[a-c]x", "bx", true),
        ("[c-a]x", "bx", false), ("[]]x", "]x", true), ("[x", "[x", true), ("*Q4*", "m-Q4_K_M.gguf", true),
        ("Q4*", "m-Q4", false), ("", "", true), ("", "a", false), ("*", "", true), ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYb", false), ("onnx/", "onnx/model.onnx", true), ("A", "a", false), ("[a-]x", "-x", true),
    ])
    func patterns(_ pattern: String, _ path: String, _ isMatch: Bool) {
        #expect(NamePattern(pattern).matches(path) == isMatch)
    }

    /// Patterns take time in proportion to both lengths, however many stars there are.
    @Test func manyStars() {
        let pattern = NamePattern(String(repeating: "*a", count: 200) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 1000)))
    }

    @Test func weights() throws {
        let common = ["config.json", "tokenizer.model", "vocab.txt", "chat_template.jinja", "LICENSE"]
        let others = [
            "pytorch_model.bin", "pytorch_model.bin.index.json", "x.gguf", "onnx/config.json", "a.py", ".x.json",
        ]
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        let index = "model.safetensors.index.json"
        #expect(try choose(common + others + ["model.safetensors"]) == common + ["model.safetensors"])
        #expect(
            try choose(common + shards + [index, "consolidated.safetensors"] + others) == common + shards + [index])
        // An adapter has weights of its own.
        let adapter = ["adapter_config.json", "adapter_model.safetensors"]
        #expect(try choose(adapter + ["training.bin"]) == adapter)
        #expect(try choose(common) == common)
        let foreign = #expect(throws: PithError.self) { try choose(["config.json", "pytorch_model.bin"]) }
        #expect(foreign?.message.contains("such as pytorch_model.bin") == true)
        #expect(throws: PithError.self) { try choose(["a.py"]) }
    }

    @Test func oneOfMany() throws {
        let failure = #expect(throws: PithError.self) { try choose(Self.gguf) }
        #expect(failure?.message == "has 3 GGUF models, one of which must be chosen")
        let list = "they are m-Q4_K_M.gguf (13.0 kB), m-Q8_0.gguf (11.0 kB), big/m-F16-00001-of-00002.gguf (58.0 kB)"
        #expect(failure?.remedy?.hasSuffix(list) == true, "\(failure?.remedy ?? "")")
        #expect(try choose(Self.gguf, FileSelection(include: ["*Q4_K_M*"])) == ["m-Q4_K_M.gguf"])
        #expect(try choose(Self.gguf, FileSelection(exclude: ["*Q8*", "big/"])) == ["m-Q4_K_M.gguf"])
        #expect(try choose(Self.gguf, of: "some/model/m-Q8_0.gguf") == ["m-Q8_0.gguf"])
        let parts = ["big/m-F16-00001-of-00002.gguf", "big/m-F16-00002-of-00002.gguf"]
        #expect(try choose(Self.gguf, of: "some/model/\(parts[0])") == parts)
        #expect(try choose(parts + ["README.md"]) == parts)
        let near = #expect(throws: PithError.self) { try choose(Self.gguf, of: "some/model/m-Q8-0.gguf") }
        #expect(near?.remedy?.hasPrefix("did you mean m-Q8_0.gguf?") == true)
    }

    @Test func includeAndExclude() throws {
        let paths = ["a.json", "b.json", "c.bin"]
        #expect(try choose(paths, FileSelection(include: ["*"])) == paths)
        #expect(
            try choose(paths, FileSelection(include: ["*.json", "*.bin"], exclude: ["a*"])) == ["b.json", "c.bin"])
        #expect(throws: PithError.self) { try choose(paths, FileSelection(include: ["*.x"])) }
        #expect(throws: PithError.self) { try choose(paths, FileSelection(include: ["a*"], exclude: ["a.json"])) }
    }

    // MARK: Settings

    @Test func settings() throws {
        try TestData.withTemporaryFolder { folder in
            let plain = try HubSettings(environment: ["HOME": folder])
            #expect(plain.endpoint == "https://huggingface.co" && plain.token == nil && !plain.isOffline)
            #expect(plain.cache == folder + "/.cache/huggingface/hub")
            try AtomicFile.write("hf_file\n", to: joinPath(folder, "token"))
            let home = try HubSettings(environment: [
                "HF_HOME": folder, "HF_ENDPOINT": "http://h:1/", "HF_HUB_OFFLINE": "on",
            ])
            #expect(home.endpoint == "http://h:1" && home.token == "hf_file" && home.isOffline)
            #expect(home.cache == folder + "/hub")
            let own = try HubSettings(environment: [
                "HF_HOME": folder, "HF_HUB_CACHE": "~/c", "HOME": "/h", "HF_TOKEN": " hf_x ",
            ])
            #expect(own.cache == "/h/c" && own.token == "hf_x")
            let named = try HubSettings(environment: ["HOME": "/h", "HF_TOKEN_PATH": joinPath(folder, "token")])
            #expect(named.token == "hf_file")
        }
    }

    @Test(arguments: [
        ["HF_ENDPOINT": "huggingface.co"], ["HF_ENDPOINT": "ftp://x"], ["HF_ENDPOINT": "https://"],
        ["HF_ENDPOINT": "https://u:p@x"], ["HF_TOKEN": "a b"], ["HF_TOKEN": "a\r\nX: y"],
    ])
    func settingsThatMakeNoSense(_ environment: [String: String]) {
        #expect(throws: PithError.self) { try HubSettings(environment: environment.merging(["HOME": "/h"]) { $1 }) }
    }

    /// What a model argument finds in the cache.
    @Test func cachedModels() throws {
        try TestData.withTemporaryFolder { folder in
            let commit = String(repeating: "0f", count: 20)
            let home = joinPath(folder, "models--org--name")
            let snapshot = joinPath(home, "snapshots/\(commit)")
            try Files.makeFolder(joinPath(home, "refs"))
            try Files.makeFolder(snapshot)
            try AtomicFile.write(commit, to: joinPath(home, "refs/main"))
            let cache = HubCache(root: folder)
            func model(_ name: String) throws -> String { try cache.model(RepositoryAddress(parsing: name)) }
            try AtomicFile.write("1", to: joinPath(snapshot, "a.gguf"))
            #expect(try model("org/name") == joinPath(snapshot, "a.gguf"))
            try AtomicFile.write("1", to: joinPath(snapshot, "b.gguf"))
            let several = #expect(throws: PithError.self) { try model("org/name") }
            #expect(several?.remedy == "name one: org/name/a.gguf, org/name/b.gguf")
            #expect(try model("org/name/b.gguf@\(commit)") == joinPath(snapshot, "b.gguf"))
            try AtomicFile.write("{}", to: joinPath(snapshot, "config.json"))
            #expect(try model("org/name") == snapshot)
            for absent in ["org/other", "org/name@v1", "org/name/c.gguf"] {
                let failure = #expect(throws: PithError.self) { try model(absent) }
                #expect(failure?.remedy == "'pith pull \(absent)' fetches it")
            }
        }
    }
}
