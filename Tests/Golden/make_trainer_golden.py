"""Makes trained.json, what the `tokenizers` package learns from a few sentences.

Run from this folder:  python make_trainer_golden.py      (pip install tokenizers==0.22.1)
"""

import json

from make_tokenizer_golden import CORPUS
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXTS = CORPUS[::3] + ["aaaa aaaaaaa aaa aa", "abab ababab abcabc bcbc", "x" * 40]


def learned(minimum, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=minimum,
        special_tokens=["<|endoftext|>", "<|other|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return {"minimum": minimum, "size": size, "vocab": model["vocab"], "merges": merges}


with open("trained.json", "w", encoding="utf-8") as file:
    json.dump({"texts": TEXTS, "results": [learned(2, 300), learned(2, 4096), learned(1, 700)]}, file)
    file.write("\n")
