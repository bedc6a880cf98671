"""Makes logits/rwkv*: tiny random models of each version of RWKV and the logits that the formulas of the papers give
for them, token by token in double precision (Peng et al. 2023, 2024 and 2025). That these formulas are those of trained
models is tested on the files of rwkv.cpp.

    python3 make_rwkv_golden.py
"""

import json

import torch
from safetensors.torch import save_file

from make_logits_golden import TARGET, TOKENIZER, write_golden

VOCABULARY = 61

CONFIGURATIONS = {
    "rwkv4": dict(rwkv_version="4", hidden_size=20, intermediate_size=28),
    "rwkv5.1": dict(rwkv_version="5.1", hidden_size=24, head_size=8, intermediate_size=28),
    "rwkv5.2": dict(rwkv_version="5.2", hidden_size=20, head_size=20, intermediate_size=28),
    "rwkv6": dict(rwkv_version="6", hidden_size=24, head_size=6, intermediate_size=36, time_mix_extra_dim=3,
                  time_decay_extra_dim=5),
    "rwkv7": dict(rwkv_version="7", hidden_size=36, head_size=18, intermediate_size=32, decay_low_rank_dim=3,
                  a_low_rank_dim=4, v_low_rank_dim=2, gate_low_rank_dim=5),
}


def shapes(c):
    """The names of all tensors and their shapes."""
    version, width, units = c["rwkv_version"], c["hidden_size"], c["intermediate_size"]
    yield "emb.weight", [VOCABULARY, width]
    for name in ["blocks.0.ln0.weight", "blocks.0.ln0.bias"]:
        yield name, [width]
    for layer in range(c["num_hidden_layers"]):
        att, ffn = f"blocks.{layer}.att.", f"blocks.{layer}.ffn."
        for norm in [f"blocks.{layer}.ln1", f"blocks.{layer}.ln2"] + ([att + "ln_x"] if version != "4" else []):
            yield norm + ".weight", [width]
            yield norm + ".bias", [width]
        for name in ["receptance", "key", "value", "output"] + (["gate"] if version in ("5.2", "6") else []):
            yield f"{att}{name}.weight", [width, width]
        yield ffn + "key.weight", [units, width]
        yield ffn + "value.weight", [width, units]
        if version != "7":
            yield ffn + "receptance.weight", [width, width]
        if version in ("4", "5.1", "5.2"):
            vectors = ["att.time_mix_k", "att.time_mix_v", "att.time_mix_r", "ffn.time_mix_k", "ffn.time_mix_r",
                       "att.time_decay", "att.time_first" if version == "4" else "att.time_faaaa"]
            vectors += ["att.time_mix_g"] if version == "5.2" else []
        elif version == "6":
            vectors = [f"att.time_maa_{x}" for x in "xwkvrg"]
            vectors += ["ffn.time_maa_k", "ffn.time_maa_r", "att.time_decay", "att.time_faaaa"]
            rank, decay = c["time_mix_extra_dim"], c["time_decay_extra_dim"]
            yield att + "time_maa_w1.weight", [5 * rank, width]
            for i in range(5):
                yield f"{att}time_maa_w2.{i}.weight", [width, rank]
            yield att + "time_decay_w1.weight", [decay, width]
            yield att + "time_decay_w2.weight", [width, decay]
        else:
            vectors = [f"att.x_{x}" for x in "rwkvag"]
            vectors += ["att.k_k", "att.k_a", "att.r_k", "att.w0", "att.a0", "ffn.x_k"]
            ranks = dict(w="decay", a="a", g="gate")
            if layer > 0:
                vectors.append("att.v0")
                ranks["v"] = "v"
            for letter, key in ranks.items():
                yield f"{att}{letter}1.weight", [c[key + "_low_rank_dim"], width]
                yield f"{att}{letter}2.weight", [width, c[key + "_low_rank_dim"]]
        for name in vectors:
            yield f"blocks.{layer}.{name}", [width]
    yield "ln_out.weight", [width]
    yield "ln_out.bias", [width]
    yield "head.weight", [VOCABULARY, width]


def norm(x, w, name, groups=1, epsilon=1e-5):
    parts = x.view(groups, -1)
    parts = (parts - parts.mean(1, keepdim=True)) / (parts.var(1, unbiased=False, keepdim=True) + epsilon).sqrt()
    return parts.view(-1) * w[name + ".weight"] + w[name + ".bias"]


class Layer:
    """One layer and what it keeps of the tokens before."""

    def __init__(self, c, w, index):
        self.version, self.width, self.size = c["rwkv_version"], c["hidden_size"], c.get("head_size", c["hidden_size"])
        prefix = f"blocks.{index}."
        self.w = {key[len(prefix):]: value for key, value in w.items() if key.startswith(prefix)}
        self.index, self.heads = index, self.width // self.size
        self.before = {"att": torch.zeros(self.width).double(), "ffn": torch.zeros(self.width).double()}
        self.state = torch.zeros(self.heads, self.size, self.size).double()
        self.sums = []

    def linear(self, name, x):
        return self.w[name + ".weight"] @ x

    def __call__(self, x, first):
        n = norm(x, self.w, "ln1")
        mixed, first = getattr(self, "time_" + self.version[0])(n, self.before["att"], first)
        self.before["att"] = n
        x = x + self.linear("att.output", mixed)
        n = norm(x, self.w, "ln2")
        x = x + self.channel(n, self.before["ffn"])
        self.before["ffn"] = n
        return x, first

    def mix(self, x, before, name):
        share = self.w[name]
        return x * share + before * (1 - share) if self.version in ("4", "5.1", "5.2") else x + (before - x) * share

    def channel(self, x, before):
        prefix = {"6": "ffn.time_maa_", "7": "ffn.x_"}.get(self.version, "ffn.time_mix_")
        y = self.linear("ffn.value", torch.relu(self.linear("ffn.key", self.mix(x, before, prefix + "k"))) ** 2)
        if self.version == "7":
            return y
        return torch.sigmoid(self.linear("ffn.receptance", self.mix(x, before, prefix + "r"))) * y

    def time_4(self, x, before, first):
        k, v, r = (self.linear("att." + name, self.mix(x, before, "att.time_mix_" + name[0]))
                   for name in ["key", "value", "receptance"])
        # All tokens before, each with its weight.
        speed, bonus = torch.exp(self.w["att.time_decay"]), self.w["att.time_first"]
        weights = [torch.exp(key - (len(self.sums) - 1 - i) * speed) for i, (key, _) in enumerate(self.sums)]
        weights.append(torch.exp(bonus + k))
        values = [value for _, value in self.sums] + [v]
        self.sums.append((k, v))
        return torch.sigmoid(r) * sum(a * b for a, b in zip(weights, values)) / sum(weights), first

    def matrices(self, r, w, k, v):
        r, w, k, v, u = (x.view(self.heads, self.size) for x in [r, w, k, v, self.w["att.time_faaaa"]])
        new = k[:, :, None] * v[:, None, :]
        y = (r[:, :, None] * (self.state + u[:, :, None] * new)).sum(1)
        self.state = w[:, :, None] * self.state + new
        return y.reshape(-1)

    def time_5(self, x, before, first):
        names = ["receptance", "key", "value"]
        r, k, v = (self.linear("att." + name, self.mix(x, before, "att.time_mix_" + name[0])) for name in names)
        y = self.matrices(r, torch.exp(-torch.exp(self.w["att.time_decay"])), k, v)
        y = norm(y, self.w, "att.ln_x", self.heads)
        if self.version == "5.2":
            y = y * torch.nn.functional.silu(self.linear("att.gate", self.mix(x, before, "att.time_mix_g")))
        return y, first

    def time_6(self, x, before, first):
        low = torch.tanh(self.linear("att.time_maa_w1", self.mix(x, before, "att.time_maa_x"))).view(5, -1)
        inputs = [x + (before - x) * (self.w["att.time_maa_" + name] + self.linear(f"att.time_maa_w2.{i}", low[i]))
                  for i, name in enumerate("wkvrg")]
        k, v, r, g = (self.linear("att." + name, input) for name, input in
                      zip(["key", "value", "receptance", "gate"], inputs[1:]))
        w = self.linear("att.time_decay_w2", torch.tanh(self.linear("att.time_decay_w1", inputs[0])))
        y = self.matrices(r, torch.exp(-torch.exp(w + self.w["att.time_decay"])), k, v)
        return norm(y, self.w, "att.ln_x", self.heads, 64e-5) * torch.nn.functional.silu(g), first

    def time_7(self, x, before, first):
        xs = {name: self.mix(x, before, "att.x_" + name) for name in "rwkvag"}
        low = lambda name, x, between: self.linear(f"att.{name}2", between(self.linear(f"att.{name}1", x)))
        same = lambda x: x
        r, k, v = (self.linear("att." + name, xs[name[0]]) for name in ["receptance", "key", "value"])
        w = torch.exp(-0.606531 * torch.sigmoid(self.w["att.w0"] + low("w", xs["w"], torch.tanh)))
        a = torch.sigmoid(self.w["att.a0"] + low("a", xs["a"], same))
        g = low("g", xs["g"], torch.sigmoid)
        kk = torch.nn.functional.normalize((k * self.w["att.k_k"]).view(self.heads, -1), dim=1)
        k = k * (1 + (a - 1) * self.w["att.k_a"])
        if self.index == 0:
            first = v
        else:
            v = v + (first - v) * torch.sigmoid(self.w["att.v0"] + low("v", xs["v"], same))
        r_, w_, k_, v_, a_ = (x.view(self.heads, self.size) for x in [r, w, k, v, a])
        # From keys to values: what is found under kk is taken away.
        found = (self.state * kk[:, :, None]).sum(1)
        self.state = (w_[:, :, None] * self.state - (kk * a_)[:, :, None] * found[:, None, :]
                      + k_[:, :, None] * v_[:, None, :])
        y = norm((r_[:, :, None] * self.state).sum(1).reshape(-1), self.w, "att.ln_x", self.heads, 64e-5)
        own = (r_ * k_ * self.w["att.r_k"].view(self.heads, -1)).sum(1, keepdim=True) * v_
        return (y + own.reshape(-1)) * g, first


def logits(c, weights, tokens):
    """The logits behind each token, [tokens, vocabulary]."""
    w = {key: value.double() for key, value in weights.items()}
    layers = [Layer(c, w, index) for index in range(c["num_hidden_layers"])]
    rows = []
    for token in tokens:
        x, first = norm(w["emb.weight"][token], w, "blocks.0.ln0"), None
        for layer in layers:
            x, first = layer(x, first)
        rows.append(w["head.weight"] @ norm(x, w, "ln_out"))
    return torch.stack(rows)


def write_random(name, changes):
    torch.manual_seed(len(name))
    c = dict(model_type="rwkv", architectures=["RWKV"], vocab_size=VOCABULARY, num_hidden_layers=2,
             tie_word_embeddings=False, torch_dtype="float32", bos_token_id=1, eos_token_id=2, **changes)
    weights = {}
    for key, shape in shapes(c):
        scale = 0.5 if len(shape) == 1 else 0.4
        weights[key] = torch.randn(shape) * scale
        if "ln" in key and key.endswith("weight"):
            weights[key] += 1
        if ".time_mix_" in key or ".time_maa_" in key and len(shape) == 1 or ".x_" in key:
            weights[key] = torch.rand(shape)
    tokens = torch.randint(0, VOCABULARY, (40,)).tolist()
    folder = TARGET / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(c, indent=1, sort_keys=True) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER) + "\n")
    write_golden(folder / "golden.json", tokens, logits(c, weights, tokens), range(0, len(tokens), 3))


if __name__ == "__main__":
    for name, changes in CONFIGURATIONS.items():
        if not (TARGET / name).exists():  # to make one again, remove its folder
            write_random(name, changes)
