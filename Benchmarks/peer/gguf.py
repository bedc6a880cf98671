"""Runs GGUF files with Pith and with llama.cpp (the package `xllamacpp`), in turns: speeds, and greedy text.

    python3 gguf.py PITH FILE.gguf... [--rounds 5] [--threads 2]

Speed: a prompt of about 500 tokens, then 128 tokens written; medians of all rounds, ± half the distance of the
quartiles. Text: 64 tokens behind each of twenty prompts, likeliest first; where both differ, how often.
"""

import argparse
import json
import statistics
import subprocess

import xllamacpp

SUBJECTS = ["rivers", "steel", "the theatre", "bread", "harbours", "maps", "glass", "winter"]
PROMPT = "".join(
    f"Chapter {i + 1}. What is known about {subject} was written down by many people, and few of them agree. "
    f"The first of these accounts says that {subject} came before everything else, and the second says that nothing of "
    f"the kind ever happened in this country, although several witnesses are named with their places and years.\n"
    for i, subject in enumerate(SUBJECTS))
PROMPTS = [
    "The capital of France is", "Once upon a time, there was a", "def fibonacci(n):",
    "The three laws of thermodynamics are", "In 1969, the first", "import numpy as np\n\n",
    "Q: What is the largest planet?\nA:", "To make a good cup of coffee, you", "The quick brown fox",
    "SELECT name FROM users WHERE", "Dear Sir or Madam,", "The mitochondria is", "Il était une fois",
    "Es war einmal ein", "# Introduction\n\nThis document", "1, 1, 2, 3, 5, 8,", "class Stack {\n",
    "The stock market fell today because", "A recipe for pancakes: first,", "My favourite book is",
]


class Peer:
    def __init__(self, path, threads):
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = 2048
        params.n_parallel = 1
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(params)

    def complete(self, prompt, count):
        return self.server.handle_completions({
            "prompt": prompt, "max_tokens": count, "n_predict": count, "temperature": 0, "samplers": ["top_k"],
            "top_k": 1, "cache_prompt": False, "repeat_penalty": 1.0})

    def speed(self):
        times = self.complete(PROMPT, 128)["timings"]
        return times["prompt_per_second"], times["predicted_per_second"]

    def text(self, prompt):
        answer = self.complete(prompt, 64)
        return answer["content"] if "content" in answer else answer["choices"][0]["text"]


class Pith:
    def __init__(self, program, path, threads):
        self.call = [program, "run", path, "--temperature", "0", "--json", "--quiet", "--threads", str(threads)]

    def complete(self, prompt, count):
        call = self.call + ["--max-tokens", str(count), prompt]
        return json.loads(subprocess.run(call, capture_output=True, check=True).stdout)

    def speed(self):
        answer = self.complete(PROMPT, 128)
        return answer["prefillTokensPerSecond"], answer["decodeTokensPerSecond"]

    def text(self, prompt):
        return self.complete(prompt, 64)["text"].removeprefix(prompt)


def spread(values):
    middle = statistics.median(values)
    if len(values) < 3:
        return f"{middle:.1f}"
    low, _, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ±{(high - low) / 2:.1f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pith")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for path in options.files:
        pith, peer = Pith(options.pith, path, options.threads), Peer(path, options.threads)
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(pith.speed())
            theirs.append(peer.speed())
        for index, name in enumerate(["prefill", "decode"]):
            a, b = [x[index] for x in ours], [x[index] for x in theirs]
            ratios = [x / y for x, y in zip(a, b)]
            print(f"{path}: {name} {spread(a)} tok/s, llama.cpp {spread(b)}, ratio {spread([100 * r for r in ratios])} %")
        same = sum(pith.text(prompt) == peer.text(prompt) for prompt in PROMPTS)
        print(f"{path}: {same} of {len(PROMPTS)} texts the same", flush=True)


if __name__ == "__main__":
    main()
