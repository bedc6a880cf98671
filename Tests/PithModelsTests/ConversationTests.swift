import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Synchronization
import Testing

@Suite("Conversations")
struct ConversationTests {
    private let options: SamplingOptions
    private let template: ChatTemplate

    init() throws {
        options = try SamplingOptions(temperature: 0)
        template = try ChatTemplate(
            "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }};{% endfor %}"
                + "{% if add_generation_prompt %}<a>{% endif %}")
    }

    /// Does `body` with a model of random weights that has a context of `length` tokens.
    private func withModel(length: Int = 400, _ body: (LanguageModel, ModelSource) throws -> Void) throws {
        try TestData.withTemporaryFolder { folder in
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: folder) { $0.contextLength = length }
            let source = try ModelSource(folder)
            let model = try source.loadModel(
                layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 1))
            try body(model, source)
        }
    }

    @Test func onlyWhatIsNewIsRead() throws {
        try withModel { model, source in
            var conversation = Conversation(model, source, template)
            conversation.say("good morning")
            let first = try conversation.answer(options: options, maximumCount: 6)
            #expect(first.readCount == first.promptCount && first.writtenCount == 6 && first.end == .maximumCount)
            let firstText = first.text
            #expect(conversation.messages.last?["content"] == .string(firstText))
            conversation.say("and now")
            let second = try conversation.answer(options: options, maximumCount: 6)
            // The last token of the answer, and what was said since.
            #expect(second.readCount < second.promptCount && second.readCount > 3)
            #expect(second.promptCount > first.promptCount + 6)
        }
    }

    @Test func anAnswerIsTheOneThatAllOfItReadAnewGives() throws {
        try withModel { model, source in
            var conversation = Conversation(model, source, template)
            conversation.say("one two")
            let first = try conversation.answer(options: options, maximumCount: 5)
            // Taken back: what was read beyond the common beginning is forgotten.
            conversation.messages = [conversation.messages[0]]
            conversation.messages[0]["content"] = "one three"
            let changed = try conversation.answer(options: options, maximumCount: 5)
            var fresh = Conversation(model, source, template)
            fresh.say("one three")
            let expected = try fresh.answer(options: options, maximumCount: 5)
            #expect(changed.text == expected.text && changed.readCount < changed.promptCount)
            #expect(first.promptCount > 0)
        }
    }

    @Test func stoppedAnswersStay() throws {
        try withModel { model, source in
            var conversation = Conversation(model, source, template)
            conversation.say("tell me all")
            let count = Mutex(0)
            let answer = try conversation.answer(
                options: options,
                isStopped: {
                    count.withLock { count in
                        count += 1
                        return count > 4
                    }
                })
            #expect(answer.end == nil && answer.writtenCount == 4 && conversation.messages.count == 2)
            // It goes on with its own message, and reads the one token that it had written and not read.
            let rest = try conversation.answer(options: options, maximumCount: 3)
            #expect(conversation.messages.count == 2 && rest.readCount == 1)
            #expect(conversation.messages[1]["content"] == .string(answer.text + rest.text))
            // Stopped before the first token, nothing was said.
            conversation.say("more")
            _ = try conversation.answer(options: options, isStopped: { true })
            #expect(conversation.messages.count == 3)
        }
    }

    @Test func whatDoesNotFitIsForgotten() throws {
        try withModel(length: 120) { model, source in
            var conversation = Conversation(model, source, template)
            conversation.say("be brief", as: "system")
            var forgotten = 0
            for turn in 0..<12 {
                conversation.say("message \(turn)")
                let answer = try conversation.answer(options: options, maximumCount: 4)
                forgotten = max(forgotten, answer.forgottenCount)
                #expect(answer.promptCount <= 120 - 4)
                #expect(answer.forgottenCount % 2 == 0)
            }
            #expect(forgotten > 0 && conversation.messages.count == 25)
            conversation.say(String(repeating: "long ", count: 200))
            #expect(throws: PithError.self) { try conversation.answer(options: options) }
        }
    }

    @Test func answersEndWithTheContext() throws {
        try withModel(length: 60) { model, source in
            var conversation = Conversation(model, source, template)
            conversation.say("on and on")
            let answer = try conversation.answer(options: options)
            #expect(answer.end == .contextLength || answer.end == .endOfText)
            #expect(answer.promptCount + answer.writtenCount <= 61)
        }
    }
}
