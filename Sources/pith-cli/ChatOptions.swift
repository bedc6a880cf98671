import ArgumentParser
import Pith

/// How a conversation begins, and how it is written for the model.
struct ChatOptions: ParsableArguments {
    @Option(help: "What the model is told before the conversation.")
    var system: String?

    @Option(help: "A JSON file with functions that the model may call, an array of schemas.")
    var tools: String?

    @Option(help: "A file with a template in Jinja's language, in place of the model's own.")
    var chatTemplate: String?

    @Option(
        name: .customLong("set"), parsing: .upToNextOption,
        help: "What else the template asks for, as name=value, for example enable_thinking=false.")
    var variables: [String] = []

    /// The model's template, or the one that was given.
    func template(of model: ModelSource) throws(PithError) -> ChatTemplate {
        let own = try model.chatTemplate()
        if let chatTemplate {
            let source = try Files.text(chatTemplate)
            do throws(PithError) {
                guard let own else { return try ChatTemplate(source) }
                return try own.replacingTemplate(by: source)
            } catch { throw error.within(chatTemplate) }
        }
        guard let own else {
            throw .usage(
                "has no chat template: it was not made for conversations", at: model.path,
                remedy: "'pith run' lets it write on after a text; --chat-template FILE gives it a template")
        }
        return own
    }

    /// The beginning of a conversation, before anything is said.
    func messages() -> [JSONObject] { system.map { [ChatRequest.message($0, role: "system")] } ?? [] }

    /// A conversation of one message.
    func request(_ text: String) throws(PithError) -> ChatRequest {
        var request = ChatRequest(messages() + [ChatRequest.message(text, role: "user")], tools: try toolSchemas())
        request.variables = try templateVariables()
        return request
    }

    /// The functions; nil where none are given.
    func toolSchemas() throws(PithError) -> [JSONValue]? {
        try tools.map { (path) throws(PithError) in
            let json = try JSONValue(contentsOf: path)
            do throws(PithError) { return try JSONReader(json).array().map(\.value) } catch { throw error.within(path) }
        }
    }

    /// The values of `--set`: JSON, or a text where they are none.
    func templateVariables() throws(PithError) -> JSONObject {
        var values = JSONObject()
        for variable in variables {
            let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw .usage(
                    "'\(variable.shortened)' sets nothing", at: "option --set", remedy: "it should be name=value")
            }
            let text = String(parts[1])
            values[String(parts[0])] = (try? JSONValue(parsing: text)) ?? .string(text)
        }
        return values
    }

    /// The messages of a JSON file, an array of objects.
    static func messages(in path: String) throws(PithError) -> [JSONObject] {
        let json = try JSONValue(contentsOf: path)
        do throws(PithError) {
            var messages: [JSONObject] = []
            for message in try JSONReader(json).array() {
                _ = try message.member("role").text()
                messages.append(try message.object())
            }
            return messages
        } catch { throw error.within(path) }
    }
}
