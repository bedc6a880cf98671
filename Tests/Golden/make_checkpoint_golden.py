"""Makes checkpoints/*: tiny random Llamas as other programs quantise them, and what their matrices stand for.

    python3 make_checkpoint_golden.py

Codes of compressed-tensors and MLX are packed by the packages `compressed-tensors` and `mlx`; those of GPTQ and AWQ by
the plain arithmetic below, after the layouts that GPTQModel and AutoAWQ describe.
"""

import json
import pathlib
import shutil

import mlx.core as mx
import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.base import pack_to_int32
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE / "checkpoints"
HIDDEN, UNITS, HEADS = 64, 96, 4
TOKENIZER = HERE / "logits/grouped-untied/tokenizer.json"
VOCABULARY = json.loads(TOKENIZER.read_text())["model"]["vocab"]

random = np.random.default_rng(11)


def stream(rows, bits):
    """Each row of codes as a stream of bits in words of 32, the lowest bits first."""
    rows = np.asarray(rows, dtype=np.uint64)
    bit = (rows[:, :, None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    bit = bit.reshape(rows.shape[0], -1)
    bit = np.pad(bit, ((0, 0), (0, -bit.shape[1] % 32)))
    words = (bit.reshape(rows.shape[0], -1, 32) << np.arange(32, dtype=np.uint64)).sum(axis=2)
    return words.astype(np.uint32).view(np.int32)


def grid(rows, columns, bits, group, symmetric):
    """Random codes, zeros and scales, and the weights that they stand for."""
    group = group or columns
    codes = random.integers(0, 1 << bits, (rows, columns))
    shape = (rows, columns // group)
    zeros = np.full(shape, 1 << (bits - 1)) if symmetric else random.integers(1, 1 << bits, shape)
    scales = random.uniform(0.002, 0.02, shape).astype(np.float16)
    weight = (codes - np.repeat(zeros, group, 1)) * np.repeat(scales, group, 1).astype(np.float32)
    return codes, zeros, scales, weight.astype(np.float32)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def gptq(name, rows, columns, bits, group, second, reordered):
    codes, zeros, scales, weight = grid(rows, columns, bits, group, symmetric=False)
    index = np.arange(columns) // (group or columns)
    if reordered:
        order = random.permutation(columns)
        index = index[np.argsort(order)]
        codes, weight = codes[:, np.argsort(order)], weight[:, np.argsort(order)]
    lowered = zeros if second else (zeros - 1) & ((1 << bits) - 1)
    return {
        f"{name}.qweight": tensor(stream(codes, bits).T),
        f"{name}.qzeros": tensor(stream(lowered.T, bits)),
        f"{name}.scales": tensor(scales.T),
        f"{name}.g_idx": tensor(index.astype(np.int32)),
    }, weight


def awq(name, rows, columns, group):
    codes, zeros, scales, weight = grid(rows, columns, 4, group, symmetric=False)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def pack(values):
        return stream(values.reshape(values.shape[0], -1, 8)[:, :, order].reshape(values.shape), 4)

    return {
        f"{name}.qweight": tensor(pack(codes.T)),
        f"{name}.qzeros": tensor(pack(zeros.T)),
        f"{name}.scales": tensor(scales.T),
    }, weight


def packed(name, rows, columns, bits, group, symmetric):
    codes, zeros, scales, weight = grid(rows, columns, bits, group, symmetric)
    middle = 1 << (bits - 1)
    tensors = {
        f"{name}.weight_packed": pack_to_int32(tensor((codes - middle).astype(np.int8)), bits),
        f"{name}.weight_scale": tensor(scales),
        f"{name}.weight_shape": torch.tensor([rows, columns]),
    }
    if not symmetric:
        zero = tensor((zeros - middle).astype(np.int8))
        tensors[f"{name}.weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0).contiguous()
    return tensors, weight


def integers(name, rows, columns):
    codes, zeros, scales, weight = grid(rows, columns, 8, 0, symmetric=True)
    return {f"{name}.weight": tensor((codes - 128).astype(np.int8)), f"{name}.weight_scale": tensor(scales)}, weight


def floats(name, rows, columns):
    values = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)).to(torch.float8_e4m3fn)
    scales = torch.from_numpy(random.uniform(0.002, 0.02, (rows, 1)).astype(np.float32))
    return {f"{name}.weight": values, f"{name}.weight_scale": scales}, (values.float() * scales).numpy()


def bitmask(name, rows, columns):
    weight = random.normal(0, 0.1, (rows, columns)).astype(np.float16)
    mask = random.random((rows, columns)) < 0.5
    weight[~mask] = 0
    counts = mask.sum(axis=1)
    return {
        f"{name}.compressed": tensor(weight[mask]),
        f"{name}.bitmask": tensor(np.packbits(mask, axis=-1, bitorder="little")),
        f"{name}.row_offsets": tensor(np.cumsum(counts) - counts),
        f"{name}.shape": torch.tensor([rows, columns]),
    }, weight.astype(np.float32)


def mlx(name, rows, columns, bits, group):
    weight = mx.array(random.normal(0, 0.1, (rows, columns)).astype(np.float16))
    words, scales, biases = mx.quantize(weight, group_size=group, bits=bits)
    decoded = mx.dequantize(words, scales.astype(mx.float32), biases.astype(mx.float32), group, bits)
    return {
        f"{name}.weight": tensor(np.array(words)),
        f"{name}.scales": tensor(np.array(scales)),
        f"{name}.biases": tensor(np.array(biases)),
    }, np.array(decoded).astype(np.float32)


def weights(bits, group, **more):
    strategy = "group" if group else "channel"
    return {"num_bits": bits, "type": "int", "strategy": strategy, "group_size": group, "dynamic": False, **more}


def compressed(form, description):
    return {"quantization_config": {
        "quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": description}}}}


def gptq_keys(bits, group, **more):
    return {"quantization_config": {"quant_method": "gptq", "bits": bits, "group_size": group or -1, **more}}


MODELS = {
    "gptq-4": (lambda *a: gptq(*a, 4, 32, False, False), gptq_keys(4, 32, sym=False, desc_act=False)),
    "gptq-3": (lambda *a: gptq(*a, 3, 32, False, False), gptq_keys(3, 32, sym=False)),
    "gptq-8-rows": (lambda *a: gptq(*a, 8, 0, True, False), gptq_keys(8, 0, checkpoint_format="gptq_v2")),
    "gptq-4-reordered": (lambda *a: gptq(*a, 4, 32, False, True), gptq_keys(4, 32, desc_act=True)),
    "awq": (lambda *a: awq(*a, 32), {"quantization_config": {
        "quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}}),
    "packed-4": (lambda *a: packed(*a, 4, 32, True),
                 compressed("pack-quantized", weights(4, 32, symmetric=True))),
    "packed-3-zeros": (lambda *a: packed(*a, 3, 32, False),
                       compressed("pack-quantized", weights(3, 32, symmetric=False))),
    "integers": (integers, compressed("int-quantized", weights(8, None, symmetric=True))),
    "floats": (floats, compressed("float-quantized", {**weights(8, None, symmetric=True), "type": "float"})),
    "bitmask": (bitmask, {"quantization_config": {
        "quant_method": "compressed-tensors", "format": "dense",
        "sparsity_config": {"format": "sparse-bitmask", "sparsity_structure": "unstructured"}}}),
    "mlx-4": (lambda *a: mlx(*a, 4, 32), {"quantization": {"bits": 4, "group_size": 32}}),
    "mlx-3": (lambda *a: mlx(*a, 3, 32), {"quantization": {"bits": 3, "group_size": 32}}),
    "mlx-8": (lambda *a: mlx(*a, 8, 64), {"quantization": {"bits": 8, "group_size": 64}}),
}


def make(name, store, keys):
    folder = TARGET / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = "model.layers.0."
    shapes = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
              "self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64),
              "mlp.down_proj": (64, 96)}
    if name == "mlx-8":
        shapes = {k: (r, 128 if c == 96 else c) for k, (r, c) in shapes.items()}
        shapes["mlp.gate_proj"] = shapes["mlp.up_proj"] = (128, 64)
    units = shapes["mlp.up_proj"][0]
    tensors, expected = {}, {}
    for module, (rows, columns) in shapes.items():
        parts, weight = store(base + module, rows, columns)
        tensors |= parts
        expected[module] = weight
    table = random.normal(0, 0.3, (len(VOCABULARY), HIDDEN)).astype(np.float16)
    if name.startswith("mlx"):
        parts, _ = store("model.embed_tokens", len(VOCABULARY), HIDDEN)
        tensors |= parts
    else:
        tensors["model.embed_tokens.weight"] = tensor(table)
    for norm in [base + "input_layernorm", base + "post_attention_layernorm", "model.norm"]:
        tensors[norm + ".weight"] = torch.ones(HIDDEN, dtype=torch.float16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    # Two matrices say enough: one that is wide and one that is narrow.
    save_file({k: tensor(expected[k]) for k in ["self_attn.k_proj", "mlp.down_proj"]}, folder / "expected.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": units, "num_attention_heads": HEADS, "num_key_value_heads": 2, "num_hidden_layers": 1,
        "vocab_size": len(VOCABULARY), "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True, "torch_dtype": "float16", **keys}, indent=1))
    shutil.copy(TOKENIZER, folder / "tokenizer.json")


for name, (store, keys) in MODELS.items():
    make(name, store, keys)
