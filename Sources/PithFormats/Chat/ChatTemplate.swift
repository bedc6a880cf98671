import PithCore

/// A conversation as a template takes it.
public struct ChatRequest: Sendable {
    /// What was said: objects with `role` and `content`, and whatever else the template knows (`tool_calls`, …).
    public var messages: [JSONObject]
    /// The functions that the model may call, as JSON schemas; nil where it has none.
    public var tools: [JSONValue]?
    /// Texts that the model may look things up in.
    public var documents: [JSONValue]?
    /// Whether the beginning of the model's next message stands at the end.
    public var addsGenerationPrompt = true
    /// Whether the last message goes on instead, its end left out.
    public var continuesLastMessage = false
    /// What else a template asks for, such as `enable_thinking`.
    public var variables = JSONObject()

    /// A conversation that the model is to answer.
    public init(_ messages: [JSONObject], tools: [JSONValue]? = nil) { (self.messages, self.tools) = (messages, tools) }

    /// A message that is a text.
    public static func message(_ text: String, role: String) -> JSONObject {
        var message = JSONObject()
        (message["role"], message["content"]) = (.string(role), .string(text))
        return message
    }
}

/// How a model wants conversations to be written: its templates, and the texts of its special tokens.
///
/// Texts are those that `transformers` makes (`apply_chat_template`, 5.24).
public struct ChatTemplate: Sendable {
    /// The template.
    public let source: String
    /// The texts of special tokens by the names that templates have for them, such as `bos_token`.
    public let specialTokens: JSONObject

    private let template: JinjaTemplate
    /// For conversations with tools, where the model has one of its own.
    private let toolTemplate: JinjaTemplate?

    /// A template as it is written.
    public init(
        _ source: String, withTools toolSource: String? = nil, specialTokens: JSONObject = JSONObject()
    ) throws(PithError) {
        (self.source, self.specialTokens) = (source, specialTokens)
        do {
            template = try JinjaTemplate(source)
            toolTemplate = try toolSource.map { (source) throws(PithError) in try JinjaTemplate(source) }
        } catch { throw error.within("chat template") }
    }

    /// The same special tokens with another template.
    public func replacingTemplate(by source: String) throws(PithError) -> ChatTemplate {
        try ChatTemplate(source, specialTokens: specialTokens)
    }

    /// The text of a conversation. What the template refuses is an error with the template's own words.
    public func render(_ request: ChatRequest, clock: JinjaClock = JinjaClock()) throws(PithError) -> String {
        guard !request.messages.isEmpty else {
            throw .usage("the conversation is empty", remedy: "a message at least is needed")
        }
        var messages = request.messages.map(Self.normalized)
        if request.continuesLastMessage { try Self.mark(&messages) }
        var variables = specialTokens
        for (name, value) in request.variables.members { variables[name] = value }
        variables["messages"] = .array(messages.map { .object($0) })
        variables["tools"] = request.tools.map { .array($0) } ?? .null
        variables["documents"] = request.documents.map { .array($0) } ?? .null
        variables["add_generation_prompt"] = .bool(request.addsGenerationPrompt && !request.continuesLastMessage)
        let template = request.tools == nil ? template : toolTemplate ?? template
        do {
            let text = try template.render(variables, clock: clock)
            return request.continuesLastMessage ? try Self.cut(text) : text
        } catch { throw error.within("chat template") }
    }

    /// The text of a conversation, in which what `texts` names is no special token where a message, a function or a
    /// document has it.
    public func prompt(
        _ request: ChatRequest, protecting texts: [String], clock: JinjaClock = JinjaClock()
    ) throws(PithError) -> ChatPrompt {
        func marked(_ value: JSONValue) -> JSONValue {
            switch value {
            case .string(let text): return .string(ChatPrompt.mark(text, texts))
            case .array(let elements): return .array(elements.map(marked))
            case .object(let object):
                var result = JSONObject()
                for (key, value) in object.members { result[key] = marked(value) }
                return .object(result)
            default: return value
            }
        }
        var request = request
        request.messages = request.messages.map { message in
            if case .object(let message) = marked(.object(message)) { message } else { message }
        }
        request.tools = request.tools?.map(marked)
        request.documents = request.documents?.map(marked)
        return ChatPrompt(marked: try render(request, clock: clock))
    }

    /// Names under which what a model thought may be given; the first is the one that templates read.
    private static let reasoningNames = ["reasoning_content", "thinking", "reasoning"]

    /// Without members that are null, which templates would write as `None`, and with what the model thought under all
    /// names that templates read.
    private static func normalized(_ message: JSONObject) -> JSONObject {
        var result = JSONObject()
        for (name, value) in message.members where value != .null { result[name] = value }
        guard let reasoning = reasoningNames.lazy.compactMap({ result[$0] }).first else { return result }
        var aliased = JSONObject()
        if result["thinking"] == nil { aliased["thinking"] = reasoning }
        for (name, value) in result.members { aliased[name] = value }
        aliased["reasoning_content"] = reasoning
        return aliased
    }

    // MARK: Going on with the last message

    /// Stands at the end of the last message, to be found again in the text.
    private static let endMark = "\u{F8F0}PITH END OF LAST MESSAGE\u{F8F1}"

    private static func mark(_ messages: inout [JSONObject]) throws(PithError) {
        let last = messages.count - 1
        switch messages[last]["content"] {
        case .string(let text)?: messages[last]["content"] = .string(text + endMark + " ")
        case .array(var parts)?:
            guard let place = parts.lastIndex(where: { $0["text"] != nil }), case .object(var part) = parts[place],
                case .string(let text)? = part["text"]
            else { fallthrough }
            part["text"] = .string(text + endMark + " ")
            parts[place] = .object(part)
            messages[last]["content"] = .array(parts)
        default: throw .usage("the last message has no text to go on with")
        }
    }

    /// The text up to the end of the last message; without the space at its end where the template cuts that.
    private static func cut(_ text: String) throws(PithError) -> String {
        var (found, place): (Range<String.Index>?, String.Index?) = (nil, nil)
        while let range = text.jinjaRange(of: endMark, from: place) { (found, place) = (range, range.upperBound) }
        guard let found else { throw .data("the template leaves out the end of the last message") }
        let kept = String(text[..<found.lowerBound])
        return text[found.upperBound...].utf8.first == UInt8(ascii: " ") ? kept : kept.jinjaStripped(start: false)
    }
}
