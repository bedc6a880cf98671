"""Makes logits/*: tiny random models of each family and the logits that the reference implementation
(the `transformers` package) gives for them, and logits of a real model if a folder with it is named.

    python3 make_logits_golden.py [FOLDER_OF_TINYSTORIES_656K]

The vectors of `sentences` are those of the `sentence-transformers` package.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, LlamaForCausalLM

TARGET = pathlib.Path(__file__).resolve().parent / "logits"

CONFIGURATIONS = {
    "grouped-untied": dict(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False),
    "multi-query-tied": dict(num_attention_heads=4, num_key_value_heads=1, tie_word_embeddings=True, rope_theta=500.0),
    "head-dim": dict(num_attention_heads=3, num_key_value_heads=3, head_dim=10, tie_word_embeddings=False,
                     rms_norm_eps=1e-6),
    "llama3-rope": dict(num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True,
                        max_position_embeddings=128,
                        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                      "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    "llama-biases": dict(num_attention_heads=4, num_key_value_heads=2, attention_bias=True, mlp_bias=True,
                         rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "mistral-window": dict(model_type="mistral", num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                           sliding_window=7),
    "qwen2": dict(model_type="qwen2", num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen2-windows": dict(model_type="qwen2", num_attention_heads=4, num_key_value_heads=1, num_hidden_layers=3,
                          use_sliding_window=True, sliding_window=9, max_window_layers=1),
    "qwen3": dict(model_type="qwen3", num_attention_heads=4, num_key_value_heads=2, head_dim=10,
                  tie_word_embeddings=True),
    "qwen3-biases": dict(model_type="qwen3", num_attention_heads=3, num_key_value_heads=3, head_dim=8,
                         attention_bias=True, num_hidden_layers=3, use_sliding_window=True, sliding_window=5,
                         max_window_layers=2),
    "dynamic-rope": dict(num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=24,
                         rope_scaling={"rope_type": "dynamic", "factor": 4.0}),
    "yarn-rope": dict(num_attention_heads=2, num_key_value_heads=1, head_dim=16, rope_theta=1000.0,
                      rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
                                    "beta_fast": 8.0, "beta_slow": 0.5}),
    "mixtral": dict(model_type="mixtral", num_attention_heads=4, num_key_value_heads=2, sliding_window=9,
                    num_local_experts=4, num_experts_per_tok=2, intermediate_size=20),
    "qwen2-moe": dict(model_type="qwen2_moe", num_attention_heads=4, num_key_value_heads=2, num_experts=5,
                      num_experts_per_tok=3, moe_intermediate_size=12, shared_expert_intermediate_size=16,
                      decoder_sparse_step=2, num_hidden_layers=4, mlp_only_layers=[3], norm_topk_prob=False,
                      use_sliding_window=True, sliding_window=8, max_window_layers=3),
    "qwen3-moe": dict(model_type="qwen3_moe", num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4,
                      num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True, attention_bias=True),
    "phi3": dict(model_type="phi3", num_attention_heads=4, num_key_value_heads=2, sliding_window=11,
                 partial_rotary_factor=0.5, hidden_size=32),
    "phi3-longrope": dict(model_type="phi3", num_attention_heads=4, num_key_value_heads=4,
                          original_max_position_embeddings=32,
                          rope_scaling={"type": "longrope", "short_factor": [1.0, 1.1, 1.5],
                                        "long_factor": [1.0, 2.0, 5.0]}),
    "gpt2": dict(model_type="gpt2", n_head=3, n_inner=40, n_positions=64, tie_word_embeddings=True),
    "gpt2-switches": dict(model_type="gpt2", n_head=4, n_positions=48, tie_word_embeddings=False,
                          activation_function="silu", scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True),
    "gpt-neox": dict(model_type="gpt_neox", num_attention_heads=3, rotary_pct=0.5),
    "gpt-neox-serial": dict(model_type="gpt_neox", num_attention_heads=2, rotary_pct=1.0, use_parallel_residual=False,
                            attention_bias=False, hidden_act="gelu_new", tie_word_embeddings=True,
                            rotary_emb_base=500),
    "gemma2": dict(model_type="gemma2", num_attention_heads=4, num_key_value_heads=2, head_dim=10, sliding_window=11,
                   query_pre_attn_scalar=17, attn_logit_softcapping=3.0, final_logit_softcapping=5.0,
                   num_hidden_layers=3),
    "gemma3": dict(model_type="gemma3_text", num_attention_heads=4, num_key_value_heads=2, head_dim=10,
                   sliding_window=11, query_pre_attn_scalar=13, num_hidden_layers=4,
                   layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"]),
    "gemma3-pattern": dict(model_type="gemma3_text", num_attention_heads=2, num_key_value_heads=1, head_dim=12,
                           sliding_window=6, num_hidden_layers=7, final_logit_softcapping=4.0),
    "mamba": dict(model_type="mamba", state_size=5, conv_kernel=3, time_step_rank=3),
    "mamba-biases": dict(model_type="mamba", hidden_size=20, intermediate_size=None, state_size=18, expand=3,
                         use_bias=True, use_conv_bias=False, tie_word_embeddings=False, residual_in_fp32=False,
                         layer_norm_epsilon=1e-3),
}


# Encoders: their last hidden states are what is expected.
ENCODERS = {
    "bert": dict(model_type="bert", num_attention_heads=4, num_hidden_layers=2, layer_norm_eps=1e-5),
    "bert-masked": dict(model_type="bert", num_attention_heads=3, num_hidden_layers=3, hidden_act="gelu_new",
                        type_vocab_size=1, max_position_embeddings=40),
}


TOKENIZER = {
    "version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "vocab": {chr(ord("a") + i): i for i in range(26)}, "merges": []},
}


def logits(model, tokens):
    """The logits behind each token, [tokens, vocabulary]."""
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def make_random(name, changes, of):
    torch.manual_seed(len(name))
    changes = {**dict(model_type="llama", vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                      max_position_embeddings=64, initializer_range=0.4, bos_token_id=1, eos_token_id=2,
                      pad_token_id=0), **changes}
    changes = {key: value for key, value in changes.items() if value is not None}
    config = AutoConfig.for_model(changes.pop("model_type"), **changes)
    config._attn_implementation = "eager"
    model = of.from_config(config).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 1 or key.endswith("A_log"):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def write_model(folder, model):
    # As published models are written, experts one by one; files beside the weights are ours.
    model.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name != "model.safetensors":
            path.unlink()
    settings = model.config.to_dict()
    settings["architectures"] = [type(model).__name__]
    settings["torch_dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(settings, indent=1, sort_keys=True, default=str) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER) + "\n")


def write_random(name, changes):
    model = make_random(name, changes, AutoModelForCausalLM)
    tokens = torch.randint(0, 61, (40,)).tolist()
    write_model(TARGET / name, model)
    write_golden(TARGET / name / "golden.json", tokens, logits(model, tokens), range(0, len(tokens), 3))


def write_random_encoder(name, changes):
    model = make_random(name, changes, AutoModelForMaskedLM if name.endswith("-masked") else AutoModel)
    tokens = torch.randint(0, 61, (40,)).tolist()
    write_model(TARGET / name, model)
    with torch.no_grad():
        states = model.base_model(torch.tensor([tokens])).last_hidden_state[0]
    write_golden(TARGET / name / "golden.json", tokens, states, range(0, len(tokens), 3), "states")


def write_golden(path, tokens, values, rows, key="logits"):
    rows = list(rows)
    golden = {"tokens": tokens, "rows": rows, key: [[round(x, 5) for x in values[r].tolist()] for r in rows]}
    path.write_text(json.dumps(golden) + "\n")


SENTENCES = ["", "a", "The cat isn't on the mat.", "In 1984 there were 365 days, 52 weeks and 12 months.",
             "the cat isn\'t on the mat", "Straße, naïve café, Ångström!", " ".join(["one", "two", "three"] * 20)]


def write_sentences(folder):
    """A folder of sentence-transformers with all that modules can do, and its vectors of some sentences."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    base = make_random("sentences", dict(model_type="bert", vocab_size=424, hidden_size=16, intermediate_size=24,
                                         num_attention_heads=2, num_hidden_layers=1), AutoModel)
    write_model(folder, base)
    tokenizer = json.loads((TARGET.parent / "tiny-wordpiece.tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n")
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64,
         **{f"{key}_token": token for key, token in names.items()}}) + "\n")
    transformer = Transformer(str(folder), max_seq_length=32)
    pooling = Pooling(16, pooling_mode=("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"))
    torch.manual_seed(5)
    dense = Dense(16 * 6, 10)
    model = SentenceTransformer(modules=[transformer, pooling, dense, Normalize()], device="cpu",
                                prompts={"query": "the small query: "}, default_prompt_name=None)
    vectors = {prompt or "none": model.encode(SENTENCES, prompt_name=prompt, batch_size=3).tolist()
               for prompt in (None, "query")}
    model.save_pretrained(str(folder), create_model_card=False)
    for name in ("special_tokens_map.json", "vocab.txt", "README.md"):
        (folder / name).unlink(missing_ok=True)
    rounded = {name: [[round(x, 6) for x in row] for row in rows] for name, rows in vectors.items()}
    (folder / "golden.json").write_text(json.dumps({"sentences": SENTENCES, **rounded}) + "\n")


def write_real(folder):
    model = LlamaForCausalLM.from_pretrained(folder).float().eval()
    torch.manual_seed(0)
    tokens = [1] + torch.randint(3, 2048, (199,)).tolist()
    with torch.no_grad():
        greedy = model.generate(torch.tensor([tokens[:20]]), max_new_tokens=60, do_sample=False)[0].tolist()
    values = logits(model, tokens)
    path = TARGET / "tinystories-656k.json"
    write_golden(path, tokens, values, [0, 1, 50, 199])
    golden = json.loads(path.read_text())
    golden["greedy"] = greedy
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    for name, changes in CONFIGURATIONS.items():
        if not (TARGET / name).exists():  # to make one again, remove its folder
            write_random(name, changes)
    for name, changes in ENCODERS.items():
        if not (TARGET / name).exists():
            write_random_encoder(name, changes)
    if not (TARGET / "sentences").exists():
        write_sentences(TARGET / "sentences")
    if len(sys.argv) > 1:
        write_real(sys.argv[1])
