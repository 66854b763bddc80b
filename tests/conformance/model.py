"""A random two-layer model of half a megabyte for llama.cpp: it babbles, but through a real engine.

python model.py FILE        (needs PyPI's gguf and numpy)
"""

from __future__ import annotations

import sys

import gguf
import numpy

WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 64, 4, 2, 128, 8192


def write(path: str) -> None:
    """Write the model: byte tokens only, weights from a fixed seed."""
    random = numpy.random.default_rng(7)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + [chr(code) for code in range(32, 127)]
    kinds = (
        [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
        + [gguf.TokenType.BYTE] * 256
        + [gguf.TokenType.NORMAL] * 95
    )
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def matrix(*shape: int) -> numpy.ndarray:
        return random.normal(0, 0.08, shape).astype(numpy.float32)

    writer.add_tensor("token_embd.weight", matrix(len(tokens), WIDTH))
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        writer.add_tensor(name + "attn_norm.weight", numpy.ones(WIDTH, numpy.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{name}{part}.weight", matrix(WIDTH, WIDTH))
        writer.add_tensor(name + "ffn_norm.weight", numpy.ones(WIDTH, numpy.float32))
        writer.add_tensor(name + "ffn_gate.weight", matrix(HIDDEN, WIDTH))
        writer.add_tensor(name + "ffn_up.weight", matrix(HIDDEN, WIDTH))
        writer.add_tensor(name + "ffn_down.weight", matrix(WIDTH, HIDDEN))
    writer.add_tensor("output_norm.weight", numpy.ones(WIDTH, numpy.float32))
    writer.add_tensor("output.weight", matrix(len(tokens), WIDTH))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
