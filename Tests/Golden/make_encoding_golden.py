"""Makes encodings.json: tokenizers of random parts and what the `tokenizers` package makes of texts with them.

Run from this folder:  python make_encoding_golden.py      (pip install tokenizers)

The parts are drawn by Benchmarks/peer/tokenizers.py.
"""

import importlib.util
import json
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent
SPECIFICATION = importlib.util.spec_from_file_location("peer", HERE / "../../Benchmarks/peer/tokenizers.py")
peer = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(peer)

WORDS = ["Hello world, the naïve é fiancée", "Ünïcode 12 3.14 a_b don't we'RE", "速い 한국어 ｶﾞ ﬁ ① x²", "<s> aaaa   b\n\n c"] * 4
TEXTS = [["Hello, world!"], ["  the é e\u0301 ﬁ x² 12<s> ab"], ["na\u00efve 速い\n\n", "we'RE ｶﾞ"], ["", "a"], ["İI\t\u00a0👍🏽 zq"]]


def main():
    cases, seed = [], 0
    while len(cases) < 24:
        seed += 1
        drawn = random.Random(seed)
        try:
            kind, tokenizer = peer.random_tokenizer(drawn, WORDS)
            tokenizer = peer.Tokenizer.from_str(tokenizer.to_str())
            if any(tokenizer.model.id_to_token(number) not in (None, token.content)
                   for number, token in tokenizer.get_added_tokens_decoder().items()):
                continue
            # Version 0.23 decodes these to what the normalizer makes of them.
            changed = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.normalized}
            encodings = []
            for texts in TEXTS:
                encoding = tokenizer.encode(*texts)
                encodings.append({"texts": texts, "ids": encoding.ids, "offsets": encoding.offsets,
                                  "types": encoding.type_ids, "decoded": None if changed & set(encoding.ids) else
                                  tokenizer.decode(encoding.ids, skip_special_tokens=False)})
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            continue
        document = json.loads(tokenizer.to_str())
        if len(json.dumps(document)) < 6000:
            cases.append({"tokenizer": document, "encodings": encodings})
    (HERE / "encodings.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
