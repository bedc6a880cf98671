import Foundation
import PithCore
import PithFormats
import PithTestSupport
import Testing

@Suite("pith chat")
struct ChatCommandTests {
    /// Does `body` in a folder with a model of random weights that has a chat template.
    private func withModel(_ body: (String) throws -> Void) throws {
        try TestData.withTemporaryFolder { folder in
            try Files.makeFolder(joinPath(folder, "model"))
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: joinPath(folder, "model")) {
                $0.contextLength = 2000
            }
            try AtomicFile.write(
                "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>{{ tail }}",
                to: joinPath(folder, "model/\(ChatTemplate.fileName)"))
            try body(folder)
        }
    }

    @Test func linesAreMessages() throws {
        try withModel { folder in
            let ending = try Program.shell(
                #"printf 'hello\n"""\ntwo\nlines\n"""\none \\\nmore\n/save out.json\n' | "#
                    + "pith chat model --system Rules --max-tokens 3 --temperature 0 --json", in: folder)
            #expect(ending.status == 0)
            let answers = ending.output.split(separator: "\n")
            #expect(answers.count == 3)
            let saved = try JSONReader(JSONValue(contentsOf: joinPath(folder, "out.json"))).array()
            let contents = try saved.map { try $0.member("content").text() }
            #expect(contents.count == 7 && contents[0] == "Rules" && contents[1] == "hello")
            #expect(contents[3] == "two\nlines" && contents[5] == "one \nmore")
            for (index, answer) in answers.enumerated() {
                let line = try JSONReader(JSONValue(parsing: String(answer)))
                #expect(try line.member("text").text() == contents[2 * index + 2])
                #expect(try line.member("tokens").integer() <= 3)
            }
            // What was saved is gone on with.
            let prompt = try Program.shell(
                "pith chat model --messages out.json --set tail='\"!\"' --show-prompt --json", in: folder)
            let text = try JSONReader(JSONValue(parsing: prompt.output)).member("prompt").text()
            #expect(text.hasPrefix("<system>Rules<user>hello<assistant>") && text.hasSuffix("<assistant>!"))
        }
    }

    @Test func interruptsStopTheAnswerAlone() throws {
        try withModel { folder in
            // The first answer would have some 1900 tokens: it is interrupted as soon as some of them are written.
            let script = """
                mkfifo in; pith chat model --temperature 0.9 --repetition-penalty 1.3 --quiet < in > out & chat=$!
                exec 3> in; echo 'go on' >&3
                while [ ! -s out ]; do sleep 0.01; done
                kill -INT $chat; printf '/save saved.json\n' >&3; exec 3>&-; wait $chat
                """
            let ending = try Program.shell(script, in: folder)
            #expect(ending.status == 0 && !ending.isSignal)
            #expect(try JSONReader(JSONValue(contentsOf: joinPath(folder, "saved.json"))).array().count == 2)
        }
    }

    @Test func modelsWithoutTemplatesAreRefused() throws {
        try withModel { folder in
            try Files.remove(joinPath(folder, "model/\(ChatTemplate.fileName)"))
            let ending = try Program.run(["chat", "model"], in: folder)
            #expect(ending.status == 64 && ending.errors.contains("no chat template"))
            let other = try Program.shell(
                "echo '{{ messages[0].content }}' > t; pith run model hi --chat --chat-template t --max-tokens 2",
                in: folder)
            #expect(other.status == 0)
        }
    }
}
