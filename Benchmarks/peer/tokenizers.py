#!/usr/bin/env python3
"""Tokenizers beside the package `tokenizers`: numbers, offsets, types of pairs and decoded texts must be the same.

    Benchmarks/peer/tokenizers.py PITH [--count N] [--seed S] [--data FOLDER] [--only NAME]

Files of real tokenizers in FOLDER, tokenizers that the package trains on the spot, and N random configurations of
normalizers, pre-tokenizers and models are tried on a mixed text: what FOLDER has of languages and code, and generated
nastiness (random code points, marks, emoji, control characters, long runs, special tokens). Needs Python with the package
`tokenizers`.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

# This file has the name of the package.
sys.path = [path for path in sys.path if pathlib.Path(path or ".").resolve() != pathlib.Path(__file__).resolve().parent]

os.environ["RUST_BACKTRACE"] = "0"
from tokenizers import (  # noqa: E402
    AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers)

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PATTERNS = {"gpt2": [GPT2], "llama3": [LLAMA3], "qwen2": [QWEN2], "o200k": [O200K],
            "deepseek": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK],
            "cohere": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K], "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
            "possessive": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
                           r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s+"]}
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|im_start|>"]


def nasty(random):
    """A text that nobody writes."""
    kinds = [
        lambda: "".join(chr(random.choice([random.randrange(32, 127), random.randrange(0x20000)]))
                        for _ in range(random.randrange(12))),
        lambda: random.choice("aeiouAEnNсе가") + "".join(chr(random.randrange(0x300, 0x370)) for _ in range(random.randrange(5))),
        lambda: random.choice(["👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "é", "e\u0301", "ﬁ", "①", "ｶﾞ", "한국어", "İI", "ẞß", "Å"]),
        lambda: "".join(random.choice(" \t\n\r\u00a0\u2003\u3000\u200b\x0b\x0c\x85\u2028") for _ in range(random.randrange(1, 9))),
        lambda: random.choice(" \n\t-=.a") * random.randrange(1, 40),
        lambda: "".join(chr(random.randrange(0x20)) for _ in range(random.randrange(1, 4))),
        lambda: random.choice(SPECIALS) + random.choice(["", " ", "x"]),
        lambda: random.choice(["I'll", "we'RE", "don't", "it's", "'S", "O'Reilly's", "12345", "3.14", "1e9", "x²", "½", "٣٤"]),
        lambda: random.choice(["the", "Hello", "world", "naïve", "Ünïcode", "速い", "कमल", "مرحبا", "שלום", "ไทย", "▁x", "a_b"]),
        lambda: random.choice([" ", " ", " ", ", ", ". ", "\n"]),
    ]
    return "".join(random.choice(kinds)() for _ in range(random.randrange(1, 30))).encode("utf-8", "ignore").decode()


def corpus(folder, random, size):
    """Texts of a folder, and nasty ones."""
    texts = ["", " ", "a", "Hello, world!", "  two  spaces  ", "\n\n"] + [nasty(random) for _ in range(size)]
    for path in sorted(folder.rglob("*")) if folder else []:
        if path.suffix not in (".txt", ".json", ".jsonl", ".py", ".md", ".inp", ".raw") or path.stat().st_size > 1 << 25:
            continue
        if not any(name in str(path) for name in ("wikitext", "xquad", "gsm8k", "llamacpp", "stsb", "calgary")):
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        if path.suffix == ".json":
            text = text.encode().decode("unicode_escape", errors="ignore").encode("utf-8", "ignore").decode() \
                if "\\u" in text[:1000] else text
        for _ in range(max(1, size // 60)):
            start = random.randrange(max(1, len(text)))
            texts.append(text[start:start + random.randrange(10, 400)])
    return [text.replace("\0", "") if random.random() < 0.5 else text for text in texts]


class Peer:
    """Runs Pith on many texts of a tokenizer at once."""

    def __init__(self, pith, folder):
        self.pith, self.folder = pith, folder

    def encode(self, tokenizer, texts, *flags):
        """What `pith tokens --lines` says of each text; None if the tokenizer is refused, with the reason."""
        lines = self.folder / "texts.jsonl"
        lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
        result = subprocess.run([self.pith, "tokens", str(tokenizer), "--text", str(lines), "--lines", "--json", *flags],
                                capture_output=True, encoding="utf-8")
        if result.returncode:
            return None, result.stderr.strip()
        return [json.loads(line) for line in result.stdout.split("\n") if line], ""


def compare(peer, name, tokenizer, texts, failures, pairs):
    """Whether both say the same; prints what they do not."""
    path = peer.folder / "tokenizer.json"
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(path))
    # What was trained may differ from what it reads back.
    tokenizer = Tokenizer.from_file(str(path))
    numbers = [token["id"] for token in json.loads(path.read_text())["added_tokens"]]
    if len(numbers) != len(set(numbers)) or any(tokenizer.model.id_to_token(number) not in (None, token.content)
                                                for number, token in tokenizer.get_added_tokens_decoder().items()):
        print(f"{name}: the package gives a number twice")
        return
    expected, kept = [], []
    for text in texts:
        try:
            expected.append(tokenizer.encode(*text) if pairs else tokenizer.encode(text))
            kept.append(list(text) if pairs else text)
        except BaseException as error:  # the package panics on some
            if "panic" not in type(error).__name__.lower() and not isinstance(error, Exception):
                raise
    got, reason = peer.encode(path, kept)
    if got is None:
        print(f"{name}: refused: {reason}")
        failures.append(name)
        return
    special = {id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    changed = {id for id, token in tokenizer.get_added_tokens_decoder().items() if token.normalized}
    wrong = 0
    for text, want, have in zip(kept, expected, got):
        checks = {
            "ids": (want.ids, have["ids"]), "offsets": ([list(o) for o in want.offsets], have["offsets"]),
            "types": (want.type_ids, have["types"]),
            "special": ([bool(m) for m in want.special_tokens_mask], have["special"]),
            # Version 0.23 decodes added tokens to what the normalizer makes of them, earlier ones and Pith do not.
            "decoded": (None, None) if changed & set(want.ids) else (
                tokenizer.decode(want.ids, skip_special_tokens=False), have["decoded"]),
            "pieces": (want.tokens, have["pieces"]),
            "decodedPlain": (None, None) if changed & set(want.ids) else (
                tokenizer.decode([id for id in want.ids if id not in special]), have["decodedPlain"]),
        }
        for what, (ours, theirs) in checks.items():
            if ours != theirs:
                wrong += 1
                if wrong <= 2:
                    where = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                    print(f"{name}: {what} differ at {where} of {text!r}\n  tokenizers {ours[max(0, where - 3):where + 4]!r}"
                          f" {want.tokens[max(0, where - 3):where + 4] if what in ('ids', 'offsets') else ''}"
                          f"\n  pith       {theirs[max(0, where - 3):where + 4]!r}")
                break
    if wrong:
        failures.append(name)
    print(f"{name}: {len(kept)} texts, {wrong} differ", flush=True)


def byte_level(patterns, texts, size=600, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return tokenizer


def metaspace_bpe(texts, gemma):
    """As Llama 2 and Gemma have it."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    steps = [] if gemma else [normalizers.Prepend("▁")]
    tokenizer.normalizer = normalizers.Sequence(steps + [normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, limit_alphabet=150,
                                  special_tokens=SPECIALS + [f"<0x{byte:02X}>" for byte in range(256)])
    tokenizer.train_from_iterator([text[:200] for text in texts], trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous") if gemma else None
    strip = [] if gemma else [decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + strip)
    document = json.loads(tokenizer.to_str())
    # Tokens of bytes are found in no text.
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def unigram(texts, random, **options):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = options.get("normalizer") or normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=random.choice(["always", "first", "never"]))
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=4000, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False))
    if options.get("byte_fallback"):
        document = json.loads(tokenizer.to_str())
        document["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0 - byte / 256] for byte in range(256)]
        document["model"]["byte_fallback"] = True
        tokenizer = Tokenizer.from_str(json.dumps(document))
    return tokenizer


def word_piece(texts, random):
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=random.random() < 0.6, strip_accents=random.choice([None, True, False]),
        clean_text=random.random() < 0.8, handle_chinese_chars=random.random() < 0.8)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=random.random() < 0.5)
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=700, special_tokens=SPECIALS, show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(("</s>", 1), ("<s>", 0))
    return tokenizer


def charsmap():
    """A compiled table of a few replacements, as SentencePiece makes them."""
    import base64
    import struct
    pairs = {"\t": " ", "\n": " ", "\u00a0": " ", "\u3000": " ", "ﬁ": "fi", "①": "1", "é": "é", "e\u0301": "é", "Ａ": "A",
             "\u200b": "", "\u0007": "", "…": "...", "ガ": "カ\u3099", "½": "1⁄2", "\u0301\u0302": "^"}
    trie = {}
    texts = b""
    for key, value in sorted(pairs.items(), key=lambda pair: pair[0].encode()):
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = len(texts)
        texts += value.encode() + b"\0"
    units, used = [0] * 256, {0}

    def place(node, position):
        labels = [label for label in node if label is not None]
        offset = 1
        while True:
            slots = [(position ^ offset ^ label) for label in labels] + ([position ^ offset] if None in node else [])
            if len(set(slots)) == len(slots) and not used & set(slots) and offset < 1 << 21:
                break
            offset += 1
        used.update(slots)
        while len(units) <= max(slots):
            units.extend([0] * 256)
        units[position] |= offset << 10 | (1 << 8 if None in node else 0)
        if None in node:
            units[position ^ offset] = node[None] | 1 << 31
        for label in labels:
            child = position ^ offset ^ label
            units[child] |= label
        for label in labels:
            place(node[label], position ^ offset ^ label)

    place(trie, 0)
    blob = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + texts
    return base64.b64encode(blob).decode()


def random_normalizer(random):
    choices = [
        normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD, normalizers.Lowercase, normalizers.StripAccents,
        normalizers.Nmt, lambda: normalizers.Strip(random.random() < 0.5, random.random() < 0.5),
        lambda: normalizers.Prepend(random.choice(["▁", " ", "xy"])),
        lambda: normalizers.Replace(random.choice([" ", "a", "ll", Regex(r"\s+"), Regex("[aeiou]"), Regex(" {2,}")]),
                                    random.choice(["▁", "", " ", "bc"])),
        lambda: normalizers.BertNormalizer(lowercase=random.random() < 0.5, strip_accents=random.choice([None, True, False])),
    ]
    return normalizers.Sequence([random.choice(choices)() for _ in range(random.randrange(3))])


def random_pre_tokenizer(random):
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    choices = [
        pre_tokenizers.Whitespace, pre_tokenizers.WhitespaceSplit, pre_tokenizers.BertPreTokenizer,
        lambda: pre_tokenizers.Punctuation(random.choice(behaviors)), lambda: pre_tokenizers.Digits(random.random() < 0.5),
        lambda: pre_tokenizers.CharDelimiterSplit(random.choice("ea ")),
        lambda: pre_tokenizers.Metaspace(prepend_scheme=random.choice(["always", "first", "never"]), split=random.random() < 0.6),
        lambda: pre_tokenizers.Split(
            Regex(random.choice([GPT2, LLAMA3, O200K, r"\s+", r"\d", r"[aeiou]+", r"(?<=[a-z])(?=[A-Z])", r"\b", r"\w+?"])),
            random.choice(behaviors), invert=random.random() < 0.3),
        lambda: pre_tokenizers.Split(random.choice([" ", "e", "\n\n"]), random.choice(behaviors), invert=random.random() < 0.3),
        lambda: pre_tokenizers.FixedLength(random.randrange(1, 7)), pre_tokenizers.UnicodeScripts,
        lambda: pre_tokenizers.ByteLevel(add_prefix_space=random.random() < 0.5, use_regex=random.random() < 0.5),
    ]
    return pre_tokenizers.Sequence([random.choice(choices)() for _ in range(random.randrange(1, 4))])


def random_post_processor(random):
    a = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)])
    b = processors.TemplateProcessing(single="$A <mask> <s>", pair="$B:3 <s>:2 $A", special_tokens=[("<s>", 0), ("<mask>", 4)])
    byte = processors.ByteLevel(trim_offsets=random.random() < 0.7, add_prefix_space=random.random() < 0.5)
    bert = processors.BertProcessing(("</s>", 1), ("<s>", 0))
    roberta = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=random.random() < 0.5,
                                           add_prefix_space=random.random() < 0.5)
    return random.choice([None, a, b, byte, bert, roberta, processors.Sequence([byte, a])])


def random_decoder(random):
    return random.choice([
        None, decoders.ByteLevel(), decoders.Metaspace(), decoders.WordPiece(cleanup=random.random() < 0.5), decoders.Fuse(),
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        decoders.BPEDecoder("</w>"), decoders.CTC("<pad>", "|", True)])


def random_tokenizer(random, texts):
    """A model that was trained behind some steps, and used behind the same."""
    kind = random.choice(["bpe", "bpe-affixes", "wordpiece", "unigram", "wordlevel"])
    special = dict(special_tokens=SPECIALS, show_progress=False)
    size = random.choice([150, 500, 1500])
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=random.choice([None, "<unk>"]), fuse_unk=random.random() < 0.5,
                                         ignore_merges=random.random() < 0.3))
        trainer = trainers.BpeTrainer(vocab_size=size, limit_alphabet=random.choice([80, 1000]), **special)
    elif kind == "bpe-affixes":
        prefix, suffix = random.choice([("##", ""), ("", "</w>"), ("##", "</w>")])
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix=prefix, end_of_word_suffix=suffix))
        trainer = trainers.BpeTrainer(vocab_size=size, continuing_subword_prefix=prefix, end_of_word_suffix=suffix, **special)
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>", max_input_chars_per_word=random.choice([5, 100])))
        trainer = trainers.WordPieceTrainer(vocab_size=size, **special)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=size, unk_token="<unk>", **special)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        trainer = trainers.WordLevelTrainer(vocab_size=size, **special)
    tokenizer.normalizer = random_normalizer(random)
    tokenizer.pre_tokenizer = random_pre_tokenizer(random)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(content, normalized=random.random() < 0.5, single_word=random.random() < 0.3,
                                     lstrip=random.random() < 0.3,
                                     rstrip=random.random() < 0.3)
                          for content in random.sample(["Hello", "the", "é", "world", "12", "Ünï"], 2)])
    post = random_post_processor(random)
    if post is not None:
        tokenizer.post_processor = post
    decoder = random_decoder(random)
    if decoder is not None:
        tokenizer.decoder = decoder
    return kind, tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pith")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=300, help="nasty texts for each tokenizer")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(options.pith, pathlib.Path(folder))
        texts = corpus(options.data, rng, options.size)
        learned = [text for text in texts if text.strip()]
        pairs = [(rng.choice(texts), rng.choice(texts)) for _ in range(60)]

        def check(name, make):
            if options.only not in name:
                return
            try:
                tokenizer = make()
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                print(f"{name}: the package makes none: {str(error)[:80]}")
                return
            compare(peer, name, tokenizer, texts, failures, False)
            compare(peer, name + " (pairs)", tokenizer, pairs, failures, True)

        for path in sorted(options.data.rglob("tokenizer.json")) if options.data else []:
            check(path.parent.name, lambda: Tokenizer.from_file(str(path)))
        for name, patterns in PATTERNS.items():
            check(f"byte-level {name}", lambda: byte_level(patterns, learned))
        check("byte-level ignore_merges", lambda: byte_level([LLAMA3], learned, ignore_merges=True))
        check("llama 2", lambda: metaspace_bpe(learned, False))
        check("gemma", lambda: metaspace_bpe(learned, True))
        check("unigram", lambda: unigram(learned, rng))
        check("unigram bytes", lambda: unigram(learned, rng, byte_fallback=True))
        table = normalizers.Sequence([normalizers.Precompiled(__import__("base64").b64decode(charsmap())),
                                      normalizers.Replace(Regex(" {2,}"), " ")])
        check("unigram charsmap", lambda: unigram(learned, rng, normalizer=table))
        for index in range(3):
            check(f"wordpiece {index}", lambda: word_piece(learned, rng))
        for index in range(options.count):
            rng = random.Random(options.seed * 100_003 + index)
            drawn = rng.random()
            try:
                kind, tokenizer = random_tokenizer(random.Random(drawn), learned)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                print(f"random {index}: the package makes none: {str(error)[:80]}")
                continue
            check(f"random {index} {kind}", lambda: tokenizer)
    print(f"{len(failures)} differ: {failures}" if failures else "all the same")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
