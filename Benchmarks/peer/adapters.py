"""Trains adapters with Pith, opens them with the `peft` package, and compares the perplexity of both on a text.

    python3 adapters.py PITH [MODEL ...] [--text FILE]

Models are folders that `transformers` opens; by default the tiny ones of Tests/Golden/logits. Pith runs with float
inputs and an F32 cache; both read the text as one window.
"""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "Tests/Golden/logits"
FAMILIES = ["grouped-untied", "llama-biases", "mistral-window", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2",
            "gpt-neox", "mixtral"]
SPECS = ["lora:rank=4,alpha=8", "lora:rank=4,targets=layers.0.+norms", "norms", "soft:count=3", "lora+soft:count=2"]


def pith(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{arguments[1]}: {result.stderr}")
    return result.stdout


def perplexity(model, tokens, ahead=0):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0, ahead:]
    losses = torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(tokens[1:]))
    return math.exp(losses.item())


def compare(program, folder, spec, text, work):
    out = work / "adapters"
    subprocess.run(["rm", "-rf", str(out)], check=True)
    pith(program, "train", "steps=5", "learningRate=0.02", "sequenceLength=12", "batchSize=4", "--from", folder,
         "--adapt", spec, "--out", out, "--text", text, "--held-out", text)
    line = json.loads(pith(program, "eval", folder, "--text", text, "--window", "512", "--adapter", out,
                           "--activations", "float", "--cache", "f32", "--json"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokens = tokenizer(text.read_text())["input_ids"]
    settings = folder / "tokenizer_config.json"
    settings = json.loads(settings.read_text()) if settings.exists() else {}
    if settings.get("add_bos_token"):
        tokens = [tokenizer.convert_tokens_to_ids(settings["bos_token"])] + tokens
    assert len(tokens) == line["tokens"] + 1, "the text should fit one window"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    plain = perplexity(model, tokens)
    ahead = 0
    if (out / "adapter_model.safetensors").exists():
        model = PeftModel.from_pretrained(model, out)
        kind = json.loads((out / "adapter_config.json").read_text())
        ahead = kind.get("num_virtual_tokens", 0)
    if (out / "prompt").exists():
        # PEFT has no model with both: what learned beside becomes weights first.
        model = PeftModel.from_pretrained(model.merge_and_unload(), out / "prompt")
        ahead = json.loads((out / "prompt/adapter_config.json").read_text())["num_virtual_tokens"]
    theirs = perplexity(model.eval(), tokens, ahead)
    return plain, line["perplexity"], theirs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        text = arguments.text or work / "text"
        worst = 0.0
        for folder in arguments.models or [GOLDEN / name for name in FAMILIES]:
            if not arguments.text:
                letters = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
                letters = sorted(l for l in letters if len(l) == 1 and l.isalnum())
                text.write_text("".join(letters[(i * i * 7 + 3 * i) % len(letters)] for i in range(48)))
            for spec in SPECS:
                if folder.name == "gpt2":
                    spec = spec.replace("layers.0.", "h.0.")
                try:
                    plain, ours, theirs = compare(arguments.program, folder, spec, text, work)
                except Exception as error:
                    print(f"{folder.name:16} {spec:36} {type(error).__name__}: {str(error)[:200]}")
                    continue
                worst = max(worst, abs(math.log(ours / theirs)))
                print(f"{folder.name:16} {spec:36} plain {plain:9.4f}  Pith {ours:9.4f}  PEFT {theirs:9.4f}")
        print(f"largest difference {worst:.2e} nats per token")


if __name__ == "__main__":
    main()
