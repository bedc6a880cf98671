import ArgumentParser
import Foundation
import Pith

/// Talks with a model.
struct ChatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talk with a model.",
        discussion: """
            A line is a message; a line that ends with a backslash goes on with the next one, and lines between two \
            lines of \"\"\" are one message. Ctrl-C stops an answer, Ctrl-D ends the conversation. /help lists what else \
            can be said. Without a terminal each line of standard input is a message.
            """)

    @Argument(help: "A model folder or GGUF file that was made for conversations.")
    var model: String

    @OptionGroup var chat: ChatOptions

    @Option(help: "A JSON file with messages to begin with, as /save writes it.")
    var messages: String?

    @Option(help: "At most so many tokens an answer; by default as many as the context holds.")
    var maxTokens: Int?

    @Flag(help: "Print what the model would read for the messages, and end.")
    var showPrompt = false

    @Flag(help: "Leave out the beginning of the answer from what --show-prompt prints.")
    var noGenerationPrompt = false

    @Flag(help: "Print each answer as a line of JSON.")
    var json = false

    @OptionGroup var sampling: SamplingArguments
    @OptionGroup var runtime: RuntimeOptions

    func validate() throws {
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens should be 1 or more.") }
    }

    func run() throws {
        let source = try ModelSource.open(model)
        let template = try chat.template(of: source)
        let beginning =
            try chat.messages()
            + (messages.map { (path) throws(PithError) in try ChatOptions.messages(in: path) } ?? [])
        if showPrompt { return try printPrompt(beginning, source, template) }
        var conversation = Conversation(try runtime.loadModel(source), source, template)
        conversation.messages = beginning
        conversation.tools = try chat.toolSchemas()
        conversation.variables = try chat.templateVariables()
        var terminal = ChatTerminal(
            conversation, options: try sampling.options(), maximumCount: maxTokens ?? .max, json: json,
            quiet: runtime.shared.quiet)
        try terminal.run()
    }

    private func printPrompt(_ messages: [JSONObject], _ source: ModelSource, _ template: ChatTemplate) throws {
        var request = ChatRequest(messages, tools: try chat.toolSchemas())
        request.variables = try chat.templateVariables()
        request.addsGenerationPrompt = !noGenerationPrompt
        let prompt = try template.prompt(request, protecting: source.tokenizer.specialTexts)
        if json {
            let tokens = source.tokenizer.encode(prompt)
            printJSON(["prompt": .string(prompt.text), "tokens": .array(tokens.map { .integer($0) })])
        } else {
            print(prompt.text)
        }
    }
}
