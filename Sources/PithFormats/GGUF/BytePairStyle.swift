import PithCore

/// What `tokenizer.ggml.pre` says of how byte pairs are made. Source: llama.cpp, `llama-vocab.cpp`, in the words of the
/// tokenizer files that these come from.
struct BytePairStyle {
    /// Texts are cut by each in turn: into its matches and what lies between them.
    let expressions: [String]
    /// Whole words that are tokens are taken without merging.
    let ignoresMerges: Bool

    private static let gpt2 = WordPattern.gpt2.expressions[0]
    private static let llama3 = WordPattern.llama3.expressions[0]
    private static let qwen2 = WordPattern.qwen2.expressions[0]
    private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let lines = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let small = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
    private static let large = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
    private static let gpt4o =
        "\(small)\(contraction)?|\(large)\(contraction)?" + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + lines
    private static let deepSeek =
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
        + #"| ?[\p{P}\p{S}]+[\r\n]*"# + lines
    private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#

    private static let styles: [(names: [String], expressions: [String])] = [
        (["default"], [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
        (
            [
                "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code",
                "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "mpt", "olmo", "jais", "trillion",
                "granite-docling", "exaone4",
            ], [gpt2]
        ),
        (llama3Names + ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], [llama3]),
        (
            [
                "qwen2", "deepseek-r1-qwen", "stablelm2", "kormo", "f2llmv2", "megrez", "hunyuan", "solar-open",
                "grok-2",
            ], [qwen2]
        ),
        (
            ["qwen35"],
            [
                contraction + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"# + lines
            ]
        ),
        (
            ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
            [#"\p{N}"#, gpt2]
        ),
        (["falcon"], [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"]),
        (
            ["deepseek-coder"],
            [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥\u{800}-一가-\u{D7FF}]+", #"\p{N}"#]
        ),
        (
            ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
            [#"\p{N}{1,3}"#, "[一-龥\u{3040}-ゟ゠-ヿ]+", deepSeek]
        ),
        (["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], [gpt4o]),
        (["tekken"], [small + "|" + large + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*"# + lines]),
        (["tiny_aya", "cohere2moe"], [#"\d{1,3}(?=(?:\d{3})*\b)"#, gpt4o]),
        (["poro-chat", "bloom", "gpt3-finnish"], [bloom]), (["viking"], [bloom, #"\p{N}"#]),
        (
            ["bailingmoe", "bailingmoe2", "llada-moe"],
            [
                #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
            ]
        ),
        (
            ["seed-coder"],
            [contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+"# + lines]
        ),
        (["superbpe"], [#"\p{N}+"#, #"(?=(\d{3})+(?!\d))"#]),
        (["laguna"], [#"[^\n]+|[\n]+"#, qwen2]),
    ]

    private static let llama3Names = [
        "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
    ]

    /// Whether texts have a beginning where the file does not say.
    static func addsBeginning(_ name: String) -> Bool { (llama3Names + ["tekken", "chameleon"]).contains(name) }

    /// The first name of the style that cuts texts by these expressions.
    static func name(of expressions: [String], ignoresMerges: Bool) -> String? {
        // Some patterns are spelled in several ways.
        func plain(_ expression: String) -> String {
            WordPattern(expression: expression)?.expressions[0] ?? expression
        }
        let wanted = expressions.map(plain)
        return styles.first { style in
            style.expressions.map(plain) == wanted && namesIgnoringMerges.contains(style.names[0]) == ignoresMerges
        }?.names[0]
    }

    private static let namesIgnoringMerges = llama3Names + ["tekken"]

    /// Throws for names that are not known: their words would be cut in another way.
    init(_ name: String) throws(PithError) {
        guard let style = Self.styles.first(where: { $0.names.contains(name) }) else {
            throw .data(
                "the pre-tokenizer '\(name.shortened)' is not supported", at: "key tokenizer.ggml.pre",
                remedy: "known are \(Self.styles.flatMap(\.names).joined(separator: ", "))")
        }
        expressions = style.expressions
        ignoresMerges = Self.namesIgnoringMerges.contains(name)
    }
}
