import PithCore

// Where templates lie: in files of a folder, the newest spelling first, or in the keys of a GGUF file.
extension ChatTemplate {
    /// The file of a folder that holds a template alone.
    public static let fileName = "chat_template.jinja"
    private static let jsonName = "chat_template.json"
    private static let mapName = "special_tokens_map.json"
    private static let foldersOfOthers = ["additional_chat_templates", "chat_templates"]
    /// The template for conversations with tools, where there are several.
    private static let toolName = "tool_use"

    /// The template of a folder; nil if it has none.
    public static func open(folder: String) throws(PithError) -> ChatTemplate? {
        let settings = try document(TokenizerSettings.fileName, in: folder)
        let tokens = try specialTokens(folder: folder)
        var named = try settings.map { (settings) throws(PithError) in try templates(settings) } ?? [:]
        if let json = try document(jsonName, in: folder) {
            named.merge(try templates(json)) { $1 }
        }
        for other in foldersOfOthers {
            let path = joinPath(folder, "\(other)/\(toolName).jinja")
            if Files.exists(path) { named[toolName] = try Files.text(path) }
        }
        let path = joinPath(folder, fileName)
        if Files.exists(path) { named["default"] = try Files.text(path) }
        return try make(named, tokens, at: folder)
    }

    /// The texts of special tokens that a folder names, by members such as `bos_token`.
    public static func specialTokens(folder: String) throws(PithError) -> JSONObject {
        var tokens = JSONObject()
        for name in [TokenizerSettings.fileName, mapName] {
            guard let file = try document(name, in: folder) else { continue }
            for (name, text) in try specialTokens(file).members where tokens[name] == nil { tokens[name] = text }
        }
        return tokens
    }

    /// The template of a GGUF file with this tokenizer; nil if it has none.
    public static func open(
        gguf metadata: [String: GGUFValue], _ tokenizer: Tokenizer
    ) throws(PithError) -> ChatTemplate? {
        var named: [String: String] = [:]
        named["default"] = metadata["tokenizer.chat_template"]?.string
        named[toolName] = metadata["tokenizer.chat_template.\(toolName)"]?.string
        var tokens = JSONObject()
        for (name, number) in GGUFTokenizerSettings.namedTokens(metadata) {
            if let text = tokenizer.token(number) { tokens["\(name)_token"] = .string(text) }
        }
        return try make(named, tokens, at: nil)
    }

    private static func make(
        _ named: [String: String], _ tokens: JSONObject, at place: String?
    ) throws(PithError) -> ChatTemplate? {
        guard let source = named["default"] ?? named[toolName] else { return nil }
        do {
            return try ChatTemplate(source, withTools: named[toolName], specialTokens: tokens)
        } catch { throw place.map(error.within) ?? error }
    }

    private static func document(_ name: String, in folder: String) throws(PithError) -> JSONReader? {
        let path = joinPath(folder, name)
        guard Files.exists(path) else { return nil }
        do { return JSONReader(try JSONValue(contentsOf: path)) } catch { throw error.within(path) }
    }

    /// `chat_template`: a text, or several with names.
    private static func templates(_ settings: JSONReader) throws(PithError) -> [String: String] {
        guard let given = try settings.optional("chat_template") else { return [:] }
        guard case .array = given.value else { return ["default": try given.text()] }
        var named: [String: String] = [:]
        for item in try given.array() { named[try item.member("name").text()] = try item.member("template").text() }
        return named
    }

    /// Members such as `bos_token`, each a text or an object that holds it.
    private static func specialTokens(_ settings: JSONReader) throws(PithError) -> JSONObject {
        var tokens = JSONObject()
        for (name, value) in try settings.object().members where name.hasSuffix("_token") {
            if let text = TokenizerSettings.text(ofToken: value) { tokens[name] = .string(text) }
        }
        return tokens
    }
}
