"""Makes the expected tokens of Llama2CTests by the plain algorithm that defines llama2.c's tokenizer.

Run from this folder:  python make_llama2c_golden.py [DATA]

It writes a small tokenizer, tiny-llama2c.bin, with the pieces of tiny-llama2.tokenizer.json, and what it makes of the
texts of make_tokenizer_golden.py. DATA is a folder that holds stories260k/, whose tokenizers are measured too.
"""

import json
import os
import struct
import sys

from make_tokenizer_golden import TEXTS


def encode(pieces, text):
    """Characters, or their bytes, after a space; then the neighbours that make the best piece, leftmost first."""
    number = {piece: i for i, (piece, _) in enumerate(pieces)}
    tokens = []
    for character in (" " + text) if text else "":
        data = character.encode()
        tokens += [number[data]] if data in number else [byte + 3 for byte in data]

    def joined(i):
        return number.get(pieces[tokens[i]][0] + pieces[tokens[i + 1]][0])

    while True:
        best, place = None, None
        for i in range(len(tokens) - 1):
            piece = joined(i)
            if piece is not None and (best is None or pieces[piece][1] > pieces[best][1]):
                best, place = piece, i
        if best is None:
            return tokens
        tokens[place : place + 2] = [best]


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    pieces, offset = [], 4
    while offset < len(data):
        score, length = struct.unpack_from("<fi", data, offset)
        offset += 8 + length
        pieces.append((data[offset - length : offset], score))
    return pieces


def write_tiny():
    with open("tiny-llama2.tokenizer.json", encoding="utf-8") as file:
        vocab = json.load(file)["model"]["vocab"]
    names = [name.replace("▁", " ") for name, _ in sorted(vocab.items(), key=lambda item: item[1])]
    pieces = [(name.encode(), 0.0) for name in names[:259]]
    pieces[1], pieces[2] = (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0)
    pieces += [(b" " * n, -1e9) for n in (2, 3, 4, 8, 16) if " " * n not in names]
    pieces += [(name.encode(), -float(i)) for i, name in enumerate(names[259:])]
    with open("tiny-llama2c.bin", "wb") as file:
        file.write(struct.pack("<i", max(len(piece) for piece, _ in pieces)))
        for piece, score in pieces:
            file.write(struct.pack("<fi", score, len(piece)) + piece)


def expectations(name, path):
    pieces = read(path)
    # The tokens of specials in a text are a matter of the tokenizer's user.
    texts = [t for t in TEXTS if "▁" not in t and not any(s in t for s in ("<unk>", "<s>", "</s>"))]
    rows = [{"text": text, "tokens": encode(pieces, text)} for text in texts]
    with open(f"{name}.expected.json", "w", encoding="utf-8") as file:
        json.dump(rows, file, separators=(",", ":"))
        file.write("\n")


TEXTS.extend([" " * n + "x" + " " * (n // 2) for n in range(2, 40)])
write_tiny()
expectations("tiny-llama2c", "tiny-llama2c.bin")
if len(sys.argv) > 1:
    expectations("stories260k-tok512", os.path.join(sys.argv[1], "stories260k/tok512.bin"))
    expectations("stories260k-tokenizer", os.path.join(sys.argv[1], "stories260k/tokenizer.bin"))
