import PithCore

/// What is put before and after the tokens of a text.
struct PostProcessor: Sendable {
    private(set) var prefix: [Int] = []
    private(set) var suffix: [Int] = []

    /// Some tokens.
    init(prefix: [Int], suffix: [Int]) { (self.prefix, self.suffix) = (prefix, suffix) }

    /// Reads the `post_processor` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        switch try reader.member("type").text() {
        case "Sequence": for item in try reader.member("processors").array() { try append(item) }
        // It changes only where tokens are said to lie.
        case "ByteLevel": break
        case "TemplateProcessing": try appendTemplate(reader)
        case "BertProcessing", "RobertaProcessing":
            prefix.insert(try Self.token(reader.member("cls")), at: 0)
            suffix.append(try Self.token(reader.member("sep")))
        case let type: throw reader.unsupported("post-processor", type)
        }
    }

    /// The number of a token that is given as a pair of its text and number.
    private static func token(_ reader: JSONReader) throws(PithError) -> Int {
        let pair = try reader.array()
        guard pair.count == 2 else { throw reader.failure("should be a text and a number") }
        return try pair[1].integer(in: 0...Tokenizer.tokenLimit)
    }

    private mutating func appendTemplate(_ reader: JSONReader) throws(PithError) {
        let specials = try reader.optional("special_tokens")
        var (before, after): ([Int], [Int]) = ([], [])
        var sequences = 0
        for item in try reader.member("single").array() {
            if try item.optional("Sequence") != nil {
                sequences += 1
                continue
            }
            let name = try item.member("SpecialToken").member("id")
            guard let special = try specials?.optional(try name.text()) else {
                throw name.failure("'\(try name.text().shortened)' is not among special_tokens")
            }
            for id in try special.member("ids").array() {
                let token = try id.integer(in: 0...Tokenizer.tokenLimit)
                if sequences == 0 { before.append(token) } else { after.append(token) }
            }
        }
        guard sequences == 1 else { throw reader.failure("the template should hold the text once") }
        // A later processor works around what an earlier one made.
        prefix = before + prefix
        suffix += after
    }
}
