import PithCore
import PithFormats
import PithModels
import Testing

/// What stands before a text and what ends it.
@Suite struct BeginningTests {
    private static let template: JSONValue = [
        "type": "TemplateProcessing",
        "single": [["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
        "special_tokens": ["<s>": ["id": "<s>", "ids": [256], "tokens": ["<s>"]]],
    ]

    private func tokenizer(_ post: JSONValue, settings: JSONValue?) throws -> Tokenizer {
        let folder = try TemporaryFolder()
        var vocabulary = JSONObject()
        for (number, scalar) in ByteAlphabet.scalars.enumerated() { vocabulary[String(scalar)] = .integer(number) }
        let json: JSONValue = [
            "added_tokens": [["id": 256, "content": "<s>", "special": true]], "post_processor": post,
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false],
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
        ]
        try json.write(to: folder.file(Tokenizer.fileName))
        try settings?.write(to: folder.file(TokenizerSettings.fileName))
        return try Tokenizer(folder: folder.path)
    }

    @Test func isWhatThePostProcessorPutsThere() throws {
        #expect(try tokenizer(Self.template, settings: nil).beginning == [256])
        #expect(try tokenizer(nil, settings: nil).beginning == [])
        #expect(try tokenizer(nil, settings: ["bos_token": "<s>"]).beginning == [])
        #expect(try tokenizer(Self.template, settings: ["bos_token": "<s>"]).beginning == [256])
    }

    @Test func isWhatTheSettingsSay() throws {
        let yes: JSONValue = ["add_bos_token": true, "bos_token": ["content": "<s>"]]
        #expect(try tokenizer(nil, settings: yes).beginning == [256])
        #expect(try tokenizer(Self.template, settings: ["add_bos_token": false]).beginning == [])
        #expect(try tokenizer(Self.template, settings: ["add_bos_token": nil]).beginning == [256])
        // Of these the settings are not heeded by the program that writes them either.
        let plain: JSONValue = ["add_bos_token": false, "tokenizer_class": "PreTrainedTokenizerFast"]
        #expect(try tokenizer(Self.template, settings: plain).beginning == [256])
        #expect(throws: PithError.self) {
            try tokenizer(nil, settings: ["add_bos_token": true, "bos_token": "<none>"])
        }
    }

    @Test func standsOnce() throws {
        let tokenizer = try tokenizer(Self.template, settings: nil)
        #expect(tokenizer.encodeFromBeginning("<s>") == [256])
        #expect(tokenizer.encodeFromBeginning("") == [256])
        #expect(tokenizer.encodeFromBeginning("<s>a").count == 2)
        #expect(tokenizer.encodeFromBeginning("a<s>").count == 3)
    }

    @Test func generationSettingsNameEnds() throws {
        #expect(try GenerationSettings(json: ["eos_token_id": 2], vocabularySize: 3).endTokens == [2])
        #expect(try GenerationSettings(json: ["eos_token_id": [0, 2]], vocabularySize: 3).endTokens == [0, 2])
        #expect(
            try GenerationSettings(json: ["eos_token_id": nil, "do_sample": true], vocabularySize: 3).endTokens == [])
        for wrong in [3, -1, "2", [0, 3], 1.5, true] as [JSONValue] {
            let error = #expect(throws: PithError.self) {
                try GenerationSettings(json: ["eos_token_id": wrong], vocabularySize: 3)
            }
            #expect(error?.place?.contains("eos_token_id") == true)
        }
    }
}

@Suite("Files that are something else") struct WrongFileTests {
    private static let pointer = """
        version https://git-lfs.github.com/spec/v1
        oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
        size 12345

        """

    @Test func pointersAreCalledByName() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array(Self.pointer.utf8), to: "x")
        let path = folder.file("x")
        let readers: [() throws -> Void] = [
            { _ = try SafetensorsFile(path) }, { _ = try JSONValue(contentsOf: path) }, { _ = try Files.text(path) },
            { try importLlama2C(model: path, tokenizer: path, into: folder.file("out")) },
        ]
        for reader in readers {
            let error = #expect(throws: PithError.self) { try reader() }
            #expect(error?.message.contains("Git LFS") == true && error?.remedy?.contains("git lfs pull") == true)
        }
    }

    @Test(arguments: [
        ([0x61, 0xFF], 1), ([0xC3, 0xA9, 0xC3], 2), ([0xED, 0xA0, 0x80], 0), ([0x41, 0x00, 0xC0, 0x80], 2),
    ])
    func textsThatAreNotUTF8AreRefused(bytes: [Int], offset: Int) throws {
        let folder = try TemporaryFolder()
        try folder.write(bytes.map { UInt8($0) }, to: "x")
        let error = #expect(throws: PithError.self) { try Files.text(folder.file("x")) }
        #expect(error?.kind == .data && error?.message.contains("byte \(offset):") == true && error?.remedy != nil)
    }

    @Test func textsThatAreUTF8AreReadAsTheyAre() throws {
        let folder = try TemporaryFolder()
        let text = "\u{FEFF}a\u{0}\u{301}\u{FFFD}\u{10FFFF}\r\n"
        try folder.write(Array(text.utf8), to: "x")
        #expect(try Files.text(folder.file("x")).utf8.elementsEqual(text.utf8))
    }
}
