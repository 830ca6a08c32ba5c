"""Generation in CTranslate2, beside marge's: converts a checkpoint of MARGE without base layers, which with beta 0 is
mBART, and translates random documents.

    generate_ct2.py CHECKPOINT BEAMS REQUESTS SOURCE TOKENS THREADS     prints the tokens of the outputs, as JSON
"""

import json
import math
import os
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file


def fill(spec, weights, prefix):
    spec.weight = weights[prefix + ".weight"]
    spec.bias = weights[prefix + ".bias"]


def fill_norm(spec, weights, prefix):
    spec.gamma, spec.beta = weights[prefix + ".weight"], weights[prefix + ".bias"]


def fill_attention(spec, weights, prefix, projections):
    """Sets fused projections: each a string of the letters of q, k and v."""
    for linear, letters in zip(spec.linear, projections):
        linear.weight = np.concatenate([weights[f"{prefix}.{x}_proj.weight"] for x in letters])
        linear.bias = np.concatenate([weights[f"{prefix}.{x}_proj.bias"] for x in letters])
    fill(spec.linear[-1], weights, prefix + ".out_proj")
    fill_norm(spec.layer_norm, weights, prefix + "_layer_norm")


def fill_side(spec, weights, side, width):
    spec.scale_embeddings = math.sqrt(width)
    spec.position_encodings.encodings = weights[side + ".embed_positions.weight"]
    fill_norm(spec.layernorm_embedding, weights, side + ".layernorm_embedding")
    fill_norm(spec.layer_norm, weights, side + ".layer_norm")
    for i, layer in enumerate(spec.layer):
        prefix = f"{side}.layers.{i}."
        fill_attention(layer.self_attention, weights, prefix + "self_attn", ["qkv"])
        if side == "decoder":
            fill_attention(layer.attention, weights, prefix + "encoder_attn", ["q", "kv"])
        fill(layer.ffn.linear_0, weights, prefix + "fc1")
        fill(layer.ffn.linear_1, weights, prefix + "fc2")
        fill_norm(layer.ffn.layer_norm, weights, prefix + "final_layer_norm")


def convert(checkpoint, folder):
    """Writes the model of CTranslate2."""
    from ctranslate2.specs import common_spec, transformer_spec

    with open(os.path.join(checkpoint, "config.json"), encoding="utf-8") as file:
        c = json.load(file)
    if c["decoder_base_layers"] or c["encoder_attention_heads"] != c["decoder_attention_heads"]:
        raise ValueError(f"{checkpoint}: want a model without base layers, of as many heads in encoder and decoder")
    if c.get("unscaled_embeddings") or c.get("final_logits_bias"):
        raise ValueError(f"{checkpoint}: want scaled embeddings and logits without a bias")
    weights = load_file(os.path.join(checkpoint, "model.safetensors"))
    spec = transformer_spec.TransformerSpec.from_config(
        (c["encoder_layers"], c["decoder_layers"]), c["encoder_attention_heads"],
        activation=common_spec.Activation.GELU, layernorm_embedding=True,
    )  # fmt: skip
    fill_side(spec.encoder, weights, "encoder", c["d_model"])
    fill_side(spec.decoder, weights, "decoder", c["d_model"])
    shared = weights["shared.weight"]
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = shared
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(str(i) for i in range(4, c["vocab_size"]))]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.decoder_start_token = "5"
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(folder)


def document(request, tokens):
    """The same as that of bench/generate.go."""
    return [100 + (request * 7919 + i * 104729) % 7000 for i in range(tokens - 2)]


class Generation:
    """Outputs of a fixed number of tokens for some documents."""

    def __init__(self, checkpoint, beams, requests, source, tokens, threads, compute_type="float32"):
        import ctranslate2

        self.folder = tempfile.TemporaryDirectory()
        convert(checkpoint, self.folder.name)
        self.translator = ctranslate2.Translator(
            self.folder.name, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=threads
        )
        self.documents = [["<s>", *map(str, document(i, source)), "</s>"] for i in range(requests)]
        self.beams, self.tokens = beams, tokens

    def run(self):
        return self.translator.translate_batch(
            self.documents, beam_size=self.beams, min_decoding_length=self.tokens, max_decoding_length=self.tokens,
            suppress_sequences=[["<s>"], ["<pad>"], ["<unk>"]],
        )  # fmt: skip


if __name__ == "__main__":
    results = Generation(sys.argv[1], *map(int, sys.argv[2:])).run()
    print(json.dumps([[int(token) for token in result.hypotheses[0]] for result in results]))
