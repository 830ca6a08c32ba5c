"""Makes or checks what Hugging Face transformers generates for small models: the files in marge/testdata/generate.

    generate_golden.py               write the files anew
    generate_golden.py --check       generate again with transformers, from the files' weights, and compare

MARGE without base layers, with one evidence document and beta 0, is mBART. The folder has a checkpoint of MARGE that a
random mBART was converted to, and in outputs.json requests with the outputs of MBartForConditionalGeneration.generate in
float32. The Go test TestGenerateIsHuggingFaces compares with them, without Python. Needs PyTorch and transformers.
"""

import argparse
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, MBartConfig, MBartForConditionalGeneration

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "marge", "testdata", "generate")

torch.set_num_threads(1)  # the models are tiny

BOS, PAD, EOS, UNK, LANGUAGE = 0, 1, 2, 3, 4
VOCABULARY, WIDTH, POSITIONS = 90, 16, 40
# The positions of mBART's table begin behind two rows that are not used.
OFFSET = 2


def new_model():
    config = MBartConfig(
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, d_model=WIDTH, encoder_layers=2, decoder_layers=2,
        encoder_ffn_dim=24, decoder_ffn_dim=40, encoder_attention_heads=2, decoder_attention_heads=4, dropout=0.0,
        activation_function="gelu", scale_embedding=True, bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS,
        decoder_start_token_id=LANGUAGE, forced_eos_token_id=None,
    )  # fmt: skip
    return MBartForConditionalGeneration(config).eval()


def randomise(model):
    """Sets weights whose outputs are various, and end."""
    torch.manual_seed(6)
    for name, parameter in model.named_parameters():
        std = 0.3 if parameter.dim() == 2 else 0.1
        parameter.data.normal_(1 if "norm" in name and name.endswith("weight") else 0, std)
    model.model.shared.weight.data[EOS] *= 2.5
    model.tie_weights()


def to_marge(model):
    """Returns the configuration and the weights of MARGE."""
    c = model.config
    config = {
        "architectures": ["Marge"], "model_type": "marge", "vocab_size": c.vocab_size, "d_model": c.d_model,
        "encoder_layers": c.encoder_layers, "encoder_ffn_dim": c.encoder_ffn_dim,
        "encoder_attention_heads": c.encoder_attention_heads, "retrieval_layers": 1, "decoder_base_layers": 0,
        "decoder_base_ffn_dim": 0, "decoder_layers": c.decoder_layers, "decoder_ffn_dim": c.decoder_ffn_dim,
        "decoder_attention_heads": c.decoder_attention_heads, "max_position_embeddings": c.max_position_embeddings,
        "dropout": 0.0, "attention_dropout": 0.0,
    }  # fmt: skip
    weights = {"beta": torch.zeros(1)}
    for name, tensor in model.state_dict().items():
        name = name.removeprefix("model.")
        if name in ("lm_head.weight", "final_logits_bias", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
            continue  # tied, or zero
        if name.endswith("embed_positions.weight"):
            tensor = tensor[OFFSET:]
        weights[name] = tensor.detach().clone().contiguous()
    weights["encoder.retrieval_layer_norm.weight"] = torch.ones(c.d_model)
    weights["encoder.retrieval_layer_norm.bias"] = torch.zeros(c.d_model)
    return config, weights


def from_marge(weights):
    """Returns mBART with weights of MARGE."""
    model = new_model()
    state = model.state_dict()
    for name, tensor in weights.items():
        if name == "beta" or "retrieval" in name:
            continue
        if name.endswith("embed_positions.weight"):
            tensor = torch.cat([torch.zeros(OFFSET, tensor.shape[1]), tensor])
        state["model." + name] = tensor
    for name in ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"):
        state[name] = weights["shared.weight"]
    state["final_logits_bias"] = torch.zeros_like(state["final_logits_bias"])
    model.load_state_dict(state)
    return model


def requests():
    """Returns documents with settings, by the names of GenerateOptions."""
    generator = torch.Generator().manual_seed(3)
    settings = [
        {"Beams": beams, "Return": returned, "LengthPenalty": penalty, "MinTokens": least, "NoRepeatNGram": n,
         "MaxTokens": most, "EarlyStopping": early}
        for beams, returned in [(1, 1), (2, 1), (4, 4), (5, 2)]
        for penalty in ([1.0] if beams == 1 else [0.5, 1.0, 2.0])
        for least, n, most in [(0, 0, 20), (6, 0, 15), (0, 2, 30), (9, 3, 12), (0, 1, 7)]
        for early in ([False] if beams == 1 else [False, True])
    ]  # fmt: skip
    for i, setting in enumerate(settings):
        length = int(torch.randint(1, 14, (1,), generator=generator))
        document = torch.randint(5, VOCABULARY, (length,), generator=generator).tolist()
        yield {"document": document, "suppress": [10, 11] if i % 4 == 3 else [], "options": setting}


def generate(model, request):
    """Returns outputs as lists of tokens, with </s> where there is one, and their scores."""
    o = request["options"]
    config = GenerationConfig(
        num_beams=o["Beams"], num_return_sequences=o["Return"], length_penalty=o["LengthPenalty"],
        min_new_tokens=o["MinTokens"], max_new_tokens=o["MaxTokens"], no_repeat_ngram_size=o["NoRepeatNGram"],
        early_stopping=o["EarlyStopping"], suppress_tokens=[BOS, PAD, UNK, LANGUAGE, *request["suppress"]], do_sample=False,
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=LANGUAGE,
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    ids = torch.tensor([[BOS, *request["document"], EOS]])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    outputs = []
    for i, sequence in enumerate(out.sequences.tolist()):
        tokens = sequence[1:]
        while tokens and tokens[-1] == PAD:
            tokens.pop()
        result = {"tokens": tokens}
        if o["Beams"] > 1:
            result["score"] = round(out.sequences_scores[i].item(), 6)
        outputs.append(result)
    return outputs


def write():
    os.makedirs(FOLDER, exist_ok=True)
    model = new_model()
    randomise(model)
    config, weights = to_marge(model)
    with open(os.path.join(FOLDER, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    save_file(weights, os.path.join(FOLDER, "model.safetensors"), metadata={"format": "pt"})
    lines = []
    for request in requests():
        request["outputs"] = generate(model, request)
        lines.append("  " + json.dumps(request))
    with open(os.path.join(FOLDER, "outputs.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def check():
    """Returns how many outputs agree and how many do not."""
    model = from_marge(load_file(os.path.join(FOLDER, "model.safetensors")))
    with open(os.path.join(FOLDER, "outputs.json"), encoding="utf-8") as file:
        wanted = json.load(file)
    passed = failed = 0
    for request in wanted:
        for got, want in zip(generate(model, request), request["outputs"], strict=True):
            if got["tokens"] == want["tokens"] and abs(got.get("score", 0) - want.get("score", 0)) <= 1e-5:
                passed += 1
            else:
                failed += 1
                print(f"{request['options']}: {got}, in the file {want}")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    if not parser.parse_args().check:
        write()
        return 0
    passed, failed = check()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"generate_golden: {error}")
