"""Has other programs open what Pith writes, and compares what they see with what Pith does.

    python3 clients.py PITH MODEL [--only gguf,llama.cpp,transformers,compressed-tensors,mlx,gptq,awq] [--tokens N]

MODEL is what Pith takes for one. What stands for the weights is written once more as a folder of F32 by Pith; the
packages' own decoding of each format has to give the same numbers. llama.cpp and transformers also write on.

What it needs: gguf, safetensors, tokenizers, numpy; for the others torch and transformers, compressed-tensors, mlx,
xllamacpp. A client that is not there is left out, by name.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

# Files beside this one have the names of packages.
sys.path.remove(str(pathlib.Path(__file__).resolve().parent))

import numpy as np  # noqa: E402

PROMPTS = ["The capital of France is", "def add(a, b):", "Once upon a time", "Water boils at", "The three primary colours"]


def pith(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments[1:4]))}: {result.stderr}")
    return result.stdout


class Work:
    def __init__(self, program, model, folder, tokens):
        self.program, self.model, self.folder, self.tokens = program, model, folder, tokens
        self.failures = 0

    def convert(self, source, name, spec):
        target = self.folder / name
        report = json.loads(pith(self.program, "convert", source, target, "--to", spec, "--json", "--quiet"))
        return target, report

    def floats(self, source, name):
        from safetensors.numpy import load_file
        return load_file(self.convert(source, name, "hf:F32")[0] / "model.safetensors")

    def say(self, client, what, is_right, detail=""):
        self.failures += not is_right
        print(f"{'ok  ' if is_right else 'FAIL'} {client}: {what} {detail}", flush=True)

    def continuation(self, source, prompt):
        text = pith(self.program, "run", source, prompt, "--max-tokens", self.tokens, "--temperature", "0", "--quiet",
                    "--activations", "float", "--cache", "f32")
        return text[text.index(prompt) + len(prompt):] if prompt in text else text


def largest(pairs):
    return max(float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) for a, b in pairs)


def gguf_package(work, types):
    from gguf import GGUFReader
    from gguf.quants import dequantize
    for type_name in types:
        path, report = work.convert(work.model, f"{type_name}.gguf", f"gguf:{type_name}")
        back = work.floats(path, f"{type_name}-floats")
        wanted = {}
        for name, values in back.items():
            wanted.setdefault(values.size, []).append(np.sort(values.ravel()))
        pairs = []
        for tensor in GGUFReader(str(path)).tensors:
            values = np.sort(dequantize(tensor.data, tensor.tensor_type).ravel().astype(np.float32))
            # Rows may lie in another order, so that sorted elements are compared with those of tensors of the size.
            candidates = wanted.get(values.size, [])
            if candidates:
                pairs.append(min(((values, c) for c in candidates), key=lambda p: np.abs(p[0] - p[1]).max()))
        error = largest(pairs)
        work.say("gguf", type_name, error == 0, f"{len(pairs)} tensors, largest difference {error:.2g}; "
                 f"rounded {report['roundedMatrices']}, error {report['relativeError']:.4f}")


def llama_cpp(work, types):
    import xllamacpp
    for type_name in types:
        path = work.folder / f"{type_name}.gguf"
        if not path.exists():
            work.convert(work.model, path.name, f"gguf:{type_name}")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
        parameters.cpuparams.n_threads = 2
        server = xllamacpp.Server(parameters)
        gaps = []
        for prompt in PROMPTS:
            answer = server.handle_completions(
                {"prompt": prompt, "max_tokens": work.tokens, "temperature": 0, "cache_prompt": False, "logprobs": 2})
            ours = work.continuation(path, prompt)
            gaps.append(gap_where_texts_part(ours, answer["choices"][0]["logprobs"]["content"]))
        equal = gaps.count(0)
        # llama.cpp rounds the inputs of products to 8 bits beside blocks; Pith leaves them floats here.
        limit = 0.02 if type_name in ["F32", "F16", "BF16"] else 0.5
        work.say("llama.cpp", type_name, max(gaps) < limit, f"{equal} of {len(PROMPTS)} texts are the same; where others "
                 f"part, the two likeliest tokens are {max(gaps):.3f} nats apart at most")
        del server


def gap_where_texts_part(ours, tokens):
    """How far apart llama.cpp's two likeliest tokens are where its text leaves ours; 0 if it never does."""
    text = ""
    for token in tokens:
        text += token["token"]
        if not ours.startswith(text):
            first, second = [t["logprob"] for t in token["top_logprobs"][:2]]
            return max(first - second, 1e-9)
    return 0


def transformers(work):
    writes_on(work, "hf:F32")
    # The package compressed-tensors decodes these for transformers.
    if importlib.util.find_spec("compressed_tensors"):
        for spec in ["compressed-tensors:bits=4,group=32", "compressed-tensors:format=int-quantized,group=32"]:
            writes_on(work, spec)


def writes_on(work, spec):
    """Whether transformers goes on from prompts as Pith does with what it wrote, token for token."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    folder, _ = work.convert(work.model, "transformers-" + spec.replace(":", "-").replace("=", ""), spec)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    equal = 0
    for prompt in PROMPTS:
        ids = json.loads(pith(work.program, "tokens", folder, prompt, "--json"))["ids"]
        plain = tokenizer(prompt)["input_ids"]
        output = model.generate(torch.tensor([ids]), max_new_tokens=work.tokens, do_sample=False)
        theirs = tokenizer.decode(output[0][len(ids):], skip_special_tokens=True)
        ours = work.continuation(folder, prompt)
        equal += ours.strip() == theirs.strip() and ids[-len(plain):] == plain
    work.say("transformers", spec, equal == len(PROMPTS), f"{equal} of {len(PROMPTS)} texts are the same")


def modules(tensors, ending):
    return sorted({name[: -len(ending)] for name in tensors if name.endswith(ending)})


def checkpoint(work, client, spec, ending, decode):
    from safetensors.torch import load_file
    path, report = work.convert(work.model, spec.replace(":", "-").replace("=", ""), spec)
    tensors = load_file(path / "model.safetensors")
    back = work.floats(path, path.name + "-floats")
    pairs = [(decode(tensors, name, path), back[name + ".weight"]) for name in modules(tensors, ending)]
    error = largest(pairs)
    scale = max(float(np.abs(b).max()) for _, b in pairs)
    work.say(client, spec, error <= 1e-6 * scale, f"{len(pairs)} matrices, largest difference {error:.2g}; "
             f"error of rounding {report['relativeError']:.4f}")
    return path


def compressed_tensors(work):
    from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationScheme

    def decode(tensors, name, path):
        keys = json.loads((path / "config.json").read_text())["quantization_config"]["config_groups"]["group_0"]
        scheme = QuantizationScheme(**keys)
        state = {n[len(name) + 1:]: v for n, v in tensors.items() if n.startswith(name + ".")}
        state["weight_scale"] = state["weight_scale"].float()
        return PackedQuantizationCompressor.decompress(state, scheme)["weight"].float().numpy()

    for spec in ["compressed-tensors:bits=4,group=32", "compressed-tensors:bits=4,group=64,symmetric=false",
                 "compressed-tensors:bits=3,group=32"]:
        checkpoint(work, "compressed-tensors", spec, ".weight_packed", decode)


def mlx(work):
    import mlx.core as mx

    def decode(tensors, name, path):
        keys = json.loads((path / "config.json").read_text())["quantization"]
        words, scales, biases = (mx.array(tensors[f"{name}.{part}"].numpy()) for part in ["weight", "scales", "biases"])
        decoded = mx.dequantize(words.astype(mx.uint32), scales.astype(mx.float32), biases.astype(mx.float32),
                                keys["group_size"], keys["bits"])
        return np.array(decoded)

    for spec in ["mlx:bits=4,group=32", "mlx:bits=8,group=64", "mlx:bits=3,group=64"]:
        checkpoint(work, "mlx", spec, ".scales", decode)


def fields(words, bits, axis):
    """All codes of some bits in words of 32, along an axis."""
    words = np.moveaxis(words.view(np.uint32), axis, -1)
    bit = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    bit = bit.reshape(*words.shape[:-1], -1)
    bit = bit[..., : bit.shape[-1] // bits * bits].reshape(*words.shape[:-1], -1, bits)
    return np.moveaxis((bit << np.arange(bits, dtype=np.uint32)).sum(-1).astype(np.int64), -1, axis)


def gptq(work):
    def decode(tensors, name, path):
        keys = json.loads((path / "config.json").read_text())["quantization_config"]
        part = {p: tensors[f"{name}.{p}"].numpy() for p in ["qweight", "qzeros", "scales", "g_idx"]}
        codes = fields(part["qweight"], keys["bits"], 0)[: len(part["g_idx"])]
        zeros = fields(part["qzeros"], keys["bits"], 1)[:, : codes.shape[1]] + (keys["checkpoint_format"] == "gptq")
        return ((codes - zeros[part["g_idx"]]) * part["scales"].astype(np.float32)[part["g_idx"]]).T

    for spec in ["gptq:bits=4,group=32", "gptq:bits=4,group=64,symmetric=true", "gptq:bits=3,group=32"]:
        checkpoint(work, "gptq", spec, ".qweight", decode)


def awq(work):
    def decode(tensors, name, path):
        group = json.loads((path / "config.json").read_text())["quantization_config"]["group_size"]

        def columns(words):
            values = fields(words, 4, 1).reshape(words.shape[0], -1, 8)
            return values[:, :, [0, 4, 1, 5, 2, 6, 3, 7]].reshape(words.shape[0], -1)

        part = {p: tensors[f"{name}.{p}"].numpy() for p in ["qweight", "qzeros", "scales"]}
        index = np.arange(part["qweight"].shape[0]) // group
        return ((columns(part["qweight"]) - columns(part["qzeros"])[index])
                * part["scales"].astype(np.float32)[index]).T

    checkpoint(work, "awq", "awq:group=32", ".qweight", decode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pith", type=pathlib.Path)
    parser.add_argument("model")
    parser.add_argument("--only", default="gguf,llama.cpp,transformers,compressed-tensors,mlx,gptq,awq")
    parser.add_argument("--types", default="F16,BF16,Q4_0,Q4_1,Q5_0,Q5_1,Q8_0,IQ4_NL")
    parser.add_argument("--tokens", type=int, default=32)
    options = parser.parse_args()
    types = options.types.split(",")
    clients = {
        "gguf": ("gguf", lambda w: gguf_package(w, types)), "llama.cpp": ("xllamacpp", lambda w: llama_cpp(w, types)),
        "transformers": ("transformers", transformers),
        "compressed-tensors": ("compressed_tensors", compressed_tensors), "mlx": ("mlx.core", mlx),
        "gptq": ("safetensors", gptq), "awq": ("safetensors", awq),
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Work(options.pith.resolve(), options.model, pathlib.Path(folder), options.tokens)
        # What is stored is compared as the floats that it stands for.
        work.model, _ = work.convert(options.model, "source", "hf:BF16")
        for name in options.only.split(","):
            module, run = clients[name]
            try:
                importlib.import_module(module)
            except ImportError:
                print(f"left out: {name}, the package {module} is not there")
                continue
            run(work)
    sys.exit(1 if work.failures else 0)


if __name__ == "__main__":
    main()
