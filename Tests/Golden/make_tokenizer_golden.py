"""Makes the expected tokens of TokenizerTests with the `tokenizers` package.

Run from this folder:  python make_tokenizer_golden.py [DATA]      (pip install tokenizers==0.22.1)

Token numbers are the same with 0.23, but that version decodes added tokens that are looked for after normalisation
to their normalised text, and then does not know them for special tokens.

It trains tiny tokenizers on the sentences below and writes them as tiny-*.tokenizer.json. DATA is a folder
with real tokenizers in sub-folders; their expected tokens are written too, the tokenizers themselves are not.
"""

import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "A small model reads small words, and a smaller one reads fewer.",
    "We'll count what we can't measure; they've counted what they'd measured.",
    "The cat isn't on the mat, it's under it. I'm sure you're right: he'd say it'll do.",
    "In 1984 there were 365 days, 52 weeks and 12 months; 3.14159 is not 22/7.",
    "def add(left, right):\n    return left + right\n\n\nprint(add(1, 2))\n",
    "for (int i = 0; i < count; ++i) { sum += values[i] * weights[i]; }",
    "Straße, naïve café, Ångström, über, fiancée, jalapeño, smörgåsbord.",
    "Быстрая лиса прыгает через ленивую собаку. Здравствуй, мир!",
    "日本語の文章と漢字。中文也在这里,还有数字。",
    "שלום עולם · مرحبا بالعالم · नमस्ते दुनिया",
    "Smile 😀 and wave 👋🏽 at the family 👨‍👩‍👧‍👦 in 🇩🇪.",
    "tabs\tand\ttabs,  two spaces,   three spaces,    four spaces.",
] * 3

TEXTS = [
    "",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    " \n",
    "\n ",
    "\r\n\r\n",
    "\t",
    "a",
    " a",
    "a ",
    "  a  b   c    ",
    "Hello, world!",
    "hello\nworld\n\n  indented\n\t\ttabs \n \n x",
    "line one\r\nline two\r\n\r\n   line three \r \n",
    "It's we're they've I'm you'll he'd can't",
    "IT'S WE'RE THEY'VE I'M YOU'LL HE'D CAN'T 'S'T'LL'x'",
    "'sabc 'tis 'll\u2019s don\u2019t '\u017f '\u017fabc",
    "0 1 12 123 1234 12345 1234567890 3.14 1,000,000 ½ ² Ⅷ ٣٤٥ 一二三",
    "abc123def 4x5 v2.0-beta_3",
    "def f(x):\n    if x > 0:\n        return x ** 2  # square\n\n\n    return -x\n",
    "{\"key\": [1, 2.5e-3, null], \"other\": \"va\\\"lue\"}",
    "https://example.org/path?query=1&other=two#part",
    "!!! ... ??? --- *** ((())) [[]] {}{} @#$%^&*",
    "!\n!\r\n!!\n\n ! \n?",
    "café naïve Ångström straße ÆØÅ œuvre",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "\u212b \u2126 \ufb01 \u00bd \u2460 \uff21\uff22",
    "Привет, мир! Быстрая лиса.",
    "日本語テキスト、漢字とかな。中文测试。한국어 텍스트",
    "שָׁלוֹם مُحَمَّد नमस्ते ไทย",
    "😀😃 👋🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ☕",
    "a😀b 😀 c😀",
    "\u00a0nbsp\u00a0\u00a0x \u2003em\u2003 \u3000wide\u3000\u3000 \u200bzero\u200b\ufeff \u0085nel\u2028ls\u2029ps",
    "\u0000\u0001\u001f\u007f\u0080\u00ad",
    "\ufffd\ufffe\uffff \U0001f9ff \U00010348 \U000e0001 \U0010ffff",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𒀀𒀁 𐐷",
    "e\u0301\u0302\u0303 \u0301 a\u200db",
    "▁under▁▁bars ▁ ▁▁ _ __",
    "<unk> <s> </s> <0x41> <0xE2><0x82>",
    "<|endoftext|>",
    "a<|endoftext|>b",
    " <|endoftext|> a <|endoftext|>",
    "<|start_story|>Once<|end_story|> <|end_story|>",
    "<|endoftext|><|endoftext|>\n<|im_start|>user\nhi<|im_end|>",
    "x <tool> y<tool>z  <tool>\n <mask> a<mask>b , <mask>, <wide>  q",
    "Don't stop.   \n\n\n   Go on!\t\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 3,
    "the the the thethethe" * 12,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "===========================================================================\n",
    "                                                                            x",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

EXTRA = [
    AddedToken("<tool>", special=False, normalized=False, lstrip=True, rstrip=False),
    AddedToken("<wide>", special=True, normalized=False, lstrip=False, rstrip=True),
    AddedToken("<mask>", special=False, normalized=True, single_word=True),
]


def train(tokenizer, size, specials, alphabet):
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(EXTRA)
    return tokenizer


def byte_level(pre_tokenizer, ignore_merges=False, normalizer=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = train(tokenizer, 400, ["<|endoftext|>"], pre_tokenizers.ByteLevel.alphabet())
    template = processors.TemplateProcessing(
        single="<|endoftext|> $A", pair=None, special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def with_merges_as_pairs_or_strings(tokenizer, pairs):
    document = json.loads(tokenizer.to_str())
    model = document["model"]
    sides = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]
    model["merges"] = sides if pairs else [" ".join(pair) for pair in sides]
    return Tokenizer.from_str(json.dumps(document)), document


def metaspace(prepend_by_normalizer, fuse):
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=prepend_by_normalizer))
    if prepend_by_normalizer:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=True)
        tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="first", split=True)
    # The bytes are entries of the vocabulary, but not looked for in texts.
    tokenizer = train(tokenizer, 700, specials, [])
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [t for t in document["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if fuse else "<s> $A", pair=None, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def expectations(tokenizer):
    # What is cut off and filled up is for whoever makes batches.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows = []
    for text in TEXTS:
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        full = tokenizer.encode(text, add_special_tokens=True).ids
        row = {"text": text, "tokens": plain, "decoded": tokenizer.decode(plain, skip_special_tokens=False)}
        row["special"] = full
        row["skipped"] = tokenizer.decode(full, skip_special_tokens=True)
        rows.append(row)
    # Tokens that are no text: each alone, and some in a row.
    size = tokenizer.get_vocab_size()
    rows.extend(
        {"decode": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
        for ids in [[i] for i in range(3, 300, 7)] + [[i * 37 % size for i in range(n, 3 * n)] for n in range(2, 40, 3)]
    )
    return rows


def word_pieces(normalizer, prefix, longest, post_processor, decoder):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=longest))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoder
    trainer = trainers.WordPieceTrainer(
        vocab_size=420, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False,
        continuing_subword_prefix=prefix
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(EXTRA)
    document = json.loads(tokenizer.to_str())
    document["model"]["continuing_subword_prefix"] = prefix
    document["model"]["max_input_chars_per_word"] = longest
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.post_processor = post_processor
    tokenizer.enable_truncation(max_length=100)
    tokenizer.enable_padding(length=100)
    return json.loads(tokenizer.to_str())


def write_word_pieces(name, *parts):
    """Its training is not the same each time: what is there stays. To make it again, remove it."""
    path = f"{name}.tokenizer.json"
    if not os.path.exists(path):
        write(path, word_pieces(*parts))
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    write(f"{name}.expected.json", expectations(Tokenizer.from_str(json.dumps(document))))


def ranges(numbers):
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def write_bert_characters():
    """What BERT's normaliser and pre-tokenizer do to each character, as ranges of those that they do it to."""
    scalars = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

    def normalizer(**changes):
        flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
        return normalizers.BertNormalizer(**{**flags, **changes}).normalize_str

    def those(test):
        return ranges([c for c in scalars if test(chr(c))])

    clean, chinese, strip = normalizer(clean_text=True), normalizer(handle_chinese_chars=True), normalizer(
        strip_accents=True)
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    write("bert-characters.expected.json", {
        "dropped": those(lambda c: clean(c) == ""),
        "spaces": those(lambda c: c != " " and clean(c) == " "),
        "ideographs": those(lambda c: chinese(c) != c),
        "marks": those(lambda c: strip(c) == ""),
        "punctuation": those(lambda c: len(split(f"a{c}a")) == 3),
        "separators": those(lambda c: len(split(f"a{c}a")) == 2),
    })


def write(name, value):
    with open(name, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


def split(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


TINY = {
    "tiny-gpt2": (byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)), True),
    "tiny-llama3": (byte_level(split(LLAMA3), ignore_merges=True), False),
    "tiny-qwen2": (byte_level(split(QWEN2), normalizer=normalizers.NFC()), True),
    "tiny-llama2": (metaspace(True, True), False),
    "tiny-metaspace": (metaspace(False, False), True),
}


def main():
    for name, (tokenizer, pairs) in TINY.items():
        tokenizer, document = with_merges_as_pairs_or_strings(tokenizer, pairs)
        write(f"{name}.tokenizer.json", document)
        write(f"{name}.expected.json", expectations(tokenizer))

    specials = [("[CLS]", 2), ("[SEP]", 3)]
    write_word_pieces(
        "tiny-wordpiece", normalizers.BertNormalizer(), "##", 100,
        processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                      special_tokens=specials), decoders.WordPiece("##", True))
    write_word_pieces(
        "tiny-wordpiece-cased", normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
        "@@", 9, processors.BertProcessing(sep=specials[1], cls=specials[0]), decoders.WordPiece("@@", False))
    write_bert_characters()

    if len(sys.argv) > 1:
        for folder in sorted(os.listdir(sys.argv[1])):
            path = os.path.join(sys.argv[1], folder, "tokenizer.json")
            if os.path.exists(path):
                write(f"{folder}.expected.json", expectations(Tokenizer.from_file(path)))


if __name__ == "__main__":
    main()
