"""Pith's entropy coders beside constriction, zstd's entropy stage and zipnn, on one core, in turns.

    swift build -c release --package-path Benchmarks/entropy-coding
    pip install numpy constriction zstandard zipnn
    python3 Benchmarks/entropy-coding/compare.py [--weights-only] [WEIGHTS.safetensors ...]

Weights are rounded to BF16; without any, normal ones are made up. Figures are the share of the size that is left and
10^9 bytes of input per second of processor time, in and out: the best of some turns; for weights also by how much the
size is above the entropy of the exponents and 8 bits a weight.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import warnings

import numpy

warnings.filterwarnings("ignore")
BENCH = os.path.join(os.path.dirname(__file__), ".build", "release", "coding-bench")
PIECE = 1 << 21
# The share of the size that the entropy leaves, where rows are compared with it.
bound = None


def weights(path):
    """All matrices of a safetensors file in BF16, as 16-bit patterns."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    parts = []
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__" or len(entry["shape"]) < 2:
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            parts.append(numpy.frombuffer(data[begin:end], numpy.uint16))
        elif entry["dtype"] == "F32":
            parts.append(rounded(numpy.frombuffer(data[begin:end], numpy.uint32)))
    return numpy.concatenate(parts)


def rounded(bits):
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def entropy(symbols):
    counts = numpy.bincount(symbols, minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return -(shares * numpy.log2(shares)).sum()


def measure(name, data, encode, decode, same, turns=5):
    inside, outside = [], []
    for _ in range(turns):
        start = time.process_time()
        coded = [encode(piece) for piece in data]
        inside.append(time.process_time() - start)
        start = time.process_time()
        decoded = [decode(*pair) for pair in zip(coded, data)]
        outside.append(time.process_time() - start)
        assert all(same(*pair) for pair in zip(decoded, data)), name
    count = sum(len(piece) for piece in data)
    size = sum(len(part) for part in coded)
    row(name, size / count, count / min(inside) / 1e9, count / min(outside) / 1e9)


def row(name, share, inside, outside):
    above = f" {100 * (float(share) / bound - 1):+7.2f} %" if bound else ""
    print(f"  {name:28} {float(share):8.4f}{above} {float(inside):8.3f} {float(outside):8.3f}", flush=True)


def pith(*arguments):
    for line in subprocess.check_output([BENCH, *arguments], text=True).splitlines():
        row(*line.split("\t"))


def symbols_of_constriction(symbols):
    from constriction import stream

    counts = numpy.bincount(symbols, minlength=256).astype(numpy.float32) + 1e-9
    model = stream.model.Categorical(counts / counts.sum(), perfect=False)
    data = [symbols.astype(numpy.int32)]

    class Words:
        def __init__(self, words):
            self.words = words

        def __len__(self):
            return 4 * len(self.words)

    def ans(piece):
        coder = stream.stack.AnsCoder()
        coder.encode_reverse(piece, model)
        return Words(coder.get_compressed())

    def range_coder(piece):
        coder = stream.queue.RangeEncoder()
        coder.encode(piece, model)
        return Words(coder.get_compressed())

    same = numpy.array_equal
    measure(
        "constriction ans", data, ans,
        lambda coded, piece: stream.stack.AnsCoder(coded.words).decode(model, len(piece)), same)
    measure(
        "constriction range coder", data, range_coder,
        lambda coded, piece: stream.queue.RangeDecoder(coded.words).decode(model, len(piece)), same)


def symbols_of_zstd(symbols):
    import zstandard

    # As few matches as zstd can be brought to look for: what remains is its Huffman coding of literals.
    settings = zstandard.ZstdCompressionParameters(
        strategy=zstandard.STRATEGY_FAST, min_match=7, hash_log=6, chain_log=6, window_log=17, target_length=0)
    encoder, decoder = zstandard.ZstdCompressor(compression_params=settings), zstandard.ZstdDecompressor()
    data = [symbols[i : i + PIECE].tobytes() for i in range(0, len(symbols), PIECE)]
    measure(
        "zstd, nearly no matches", data, encoder.compress, lambda coded, _: decoder.decompress(coded),
        lambda decoded, piece: decoded == piece)


def floats_of_zipnn(words):
    import zipnn

    coder = zipnn.ZipNN(bytearray_dtype="bfloat16", threads=1)
    data = [words[i : i + PIECE // 2].tobytes() for i in range(0, len(words), PIECE // 2)]
    measure(
        "zipnn", data, lambda piece: coder.compress(bytearray(piece)), lambda coded, _: coder.decompress(coded),
        lambda decoded, piece: bytes(decoded) == piece, turns=15)


def compare(name, words, weights_only):
    global bound
    exponents = (words >> 7 & 255).astype(numpy.uint8)
    bits = entropy(exponents)
    print(f"{name}: {len(words)} BF16 weights, exponents of {bits:.4f} bits")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        if not weights_only:
            bound = None
            print(f"  exponents; the entropy is a share of {bits / 8:.4f}")
            exponents.tofile(path)
            pith("symbols", path)
            symbols_of_zstd(exponents)
            symbols_of_constriction(exponents)
        bound = (8 + bits) / 16
        print(f"  weights; the entropy of the exponents leaves {bound:.4f}")
        words.tofile(path)
        pith("floats", "BF16", path)
        floats_of_zipnn(words)


parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="*")
parser.add_argument("--weights-only", action="store_true", help="leave out the coders of single symbols")
options = parser.parse_args()
for path in options.files:
    compare(os.path.basename(path), weights(path), options.weights_only)
if not options.files:
    normal = numpy.random.default_rng(1).normal(size=8_000_000).astype(numpy.float32) * 0.02
    compare("normal weights", rounded(normal.view(numpy.uint32)), options.weights_only)
