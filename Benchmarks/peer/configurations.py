"""Runs small random models of every family with Pith and with `transformers`, and compares the likeliest tokens.

    python3 configurations.py PITH [--count 60] [--seed 1]

Each model has a random configuration: heads, windows, biases, rotary scaling, activations, experts, ties. Behind a
prompt of 30 tokens 20 are written, with float inputs and an F32 cache. Where both differ, the distance of the two
likeliest logits of the reference says whether rounding may have decided.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/Golden"))
from make_logits_golden import TOKENIZER  # noqa: E402

PROMPT, WRITTEN, VOCABULARY = 30, 20, 61
ACTIVATIONS = ["silu", "gelu", "gelu_new", "relu", "gelu_pytorch_tanh"]
flag = lambda: random.random() < 0.5
pick = random.choice


def rotary_scaling():
    return pick([
        None, None, {"rope_type": "linear", "factor": pick([2.0, 3.5])},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 32},
        {"rope_type": "yarn", "factor": pick([2.0, 8.0]), "original_max_position_embeddings": 16,
         **pick([{}, {"attention_factor": 1.2}, {"mscale": 0.7, "mscale_all_dim": 0.5},
                 {"beta_fast": 16.0, "beta_slow": 2.0}])},
    ])


def usual():
    return dict(num_attention_heads=4, num_key_value_heads=pick([1, 2, 4]), hidden_size=32, intermediate_size=pick([24, 40]),
                num_hidden_layers=pick([1, 2, 3]), tie_word_embeddings=flag(), max_position_embeddings=96)


def rotated():
    scaling = rotary_scaling()
    return dict(usual(), hidden_act=pick(ACTIVATIONS), rope_theta=pick([100.0, 10000.0, 1e6]),
                **({"rope_scaling": scaling} if scaling else {}))


def heads():
    return dict(head_dim=pick([8, 12, 16]))


def qwen_windows():
    return dict(use_sliding_window=flag(), sliding_window=pick([4, 9]), max_window_layers=pick([0, 1, 5]))


def qwen_experts():
    return dict(num_experts=pick([3, 6]), num_experts_per_tok=pick([1, 3]), moe_intermediate_size=16,
                norm_topk_prob=flag(), decoder_sparse_step=pick([1, 2]), mlp_only_layers=pick([[], [0]]))


def gemma():
    return dict(usual(), **heads(), sliding_window=pick([4, 9, 100]), query_pre_attn_scalar=pick([8, 20]),
                final_logit_softcapping=pick([None, 3.0]))


FAMILIES = {
    "llama": lambda: dict(rotated(), **heads(), attention_bias=flag(), mlp_bias=flag()),
    "mistral": lambda: dict(rotated(), **heads(), sliding_window=pick([None, 3, 7, 20, 200])),
    "mixtral": lambda: dict(rotated(), **heads(), sliding_window=pick([None, 7]), num_local_experts=pick([2, 5]),
                            num_experts_per_tok=pick([1, 2])),
    "qwen2": lambda: dict(rotated(), **qwen_windows()),
    "qwen3": lambda: dict(rotated(), **heads(), **qwen_windows(), attention_bias=flag()),
    "qwen2_moe": lambda: dict(rotated(), **qwen_windows(), **qwen_experts(), shared_expert_intermediate_size=12,
                              qkv_bias=flag()),
    "qwen3_moe": lambda: dict(rotated(), **heads(), **qwen_windows(), **qwen_experts(), attention_bias=flag()),
    "gemma2": lambda: dict(gemma(), attn_logit_softcapping=pick([None, 2.0])),
    "gemma3_text": gemma,
    "phi3": lambda: dict(usual(), hidden_size=64, hidden_act=pick(ACTIVATIONS), sliding_window=pick([None, 5, 50]),
                         partial_rotary_factor=pick([1.0, 0.5])),
    "gpt2": lambda: dict(n_embd=32, n_head=pick([2, 4]), n_layer=pick([1, 2, 3]), n_positions=96,
                         n_inner=pick([None, 40]), activation_function=pick(ACTIVATIONS), tie_word_embeddings=flag(),
                         scale_attn_weights=flag(), scale_attn_by_inverse_layer_idx=flag()),
    "gpt_neox": lambda: dict({k: v for k, v in usual().items() if k != "num_key_value_heads"},
                             rotary_pct=pick([0.25, 0.5, 1.0]), use_parallel_residual=flag(), attention_bias=flag(),
                             hidden_act=pick(ACTIVATIONS)),
    "mamba": lambda: dict(hidden_size=32, state_size=pick([4, 8]), num_hidden_layers=pick([1, 2, 3]),
                          conv_kernel=pick([2, 4]), expand=pick([1, 2]), time_step_rank=pick(["auto", 3]),
                          use_bias=flag(), use_conv_bias=flag(), tie_word_embeddings=flag(), residual_in_fp32=flag()),
}


def make(family, folder):
    """A random model in a folder, and its configuration."""
    changes = dict(vocab_size=VOCABULARY, initializer_range=0.3, bos_token_id=1, eos_token_id=None, pad_token_id=0)
    changes.update(FAMILIES[family]())
    torch.manual_seed(random.randrange(10**6))
    config = AutoConfig.for_model(family, **changes)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    return model, changes


def reference(model, prompt):
    """The likeliest tokens behind a prompt, and how far each is from the second."""
    tokens, margins = list(prompt), []
    with torch.no_grad():
        for _ in range(WRITTEN):
            logits = model(torch.tensor([tokens])).logits[0, -1]
            best = logits.topk(2)
            margins.append(float(best.values[0] - best.values[1]))
            tokens.append(int(best.indices[0]))
    return tokens[len(prompt):], margins


def written(program, folder, prompt):
    state = folder / "state.safetensors"
    text = "".join(chr(ord("a") + token) for token in prompt)
    call = [program, "run", str(folder), text, "--temperature", "0", "--max-tokens", str(WRITTEN), "--quiet", "--json",
            "--activations", "float", "--cache", "f32", "--save-state", str(state)]
    subprocess.run(call, capture_output=True, check=True)
    return load_file(state)["tokens"].tolist()[len(prompt):]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pith")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    equal = near = 0
    for _ in range(options.count):
        family = pick(list(FAMILIES))
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            model, changes = make(family, folder)
            prompt = [random.randrange(26) for _ in range(PROMPT)]
            expected, margins = reference(model, prompt)
            tokens = written(options.pith, folder, prompt)
        place = next((i for i in range(WRITTEN) if tokens[i:i + 1] != expected[i:i + 1]), None)
        if place is None:
            equal += 1
        else:
            near += margins[place] < 1e-3
            print(f"{family}: differs at token {place}, where the two likeliest are {margins[place]:.2g} apart: {changes}")
    print(f"{equal} of {options.count} equal; {near} differ where the two likeliest are less than 0.001 apart")


if __name__ == "__main__":
    main()
