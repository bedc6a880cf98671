"""Makes configurations.json: configurations as `transformers` writes them, and the rotary frequencies that it uses.

Run from this folder:  python make_configuration_golden.py      (pip install transformers torch)
"""

import json

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 100}
CASES = [
    {"num_attention_heads": 4, "num_key_value_heads": 2},
    {"num_attention_heads": 1, "rope_theta": 500000.0, "tie_word_embeddings": True},
    {"num_attention_heads": 4, "head_dim": 128, "rope_theta": 1000000.0, "eos_token_id": [2, 3]},
    {"num_attention_heads": 2, "rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    {
        "num_attention_heads": 4,
        "head_dim": 128,
        "rope_theta": 500000.0,
        "max_position_embeddings": 131072,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    },
]

rows = []
for case in CASES:
    theta, scaling = case.pop("rope_theta", 10000.0), case.pop("rope_scaling", None)
    rope = {"rope_type": "default", **(scaling or {}), "rope_theta": theta}
    config = LlamaConfig(**SIZES, **case, rope_parameters=rope, architectures=["LlamaForCausalLM"])
    frequencies = LlamaRotaryEmbedding(config).inv_freq
    written = json.loads(config.to_json_string(use_diff=False))
    rows.append({"config": written, "frequencies": [float(value) for value in frequencies]})
    older = {key: value for key, value in written.items() if key != "rope_parameters"}
    older |= {"rope_theta": theta, "rope_scaling": scaling}
    rows.append({"config": older, "frequencies": [float(value) for value in frequencies]})

with open("configurations.json", "w", encoding="utf-8") as file:
    json.dump(rows, file, separators=(",", ":"))
    file.write("\n")
