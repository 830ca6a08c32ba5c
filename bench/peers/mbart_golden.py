"""Makes or checks what Hugging Face transformers computes with small mBARTs: the folders in marge/testdata/mbart.

    mbart_golden.py                  write the folders anew
    mbart_golden.py --check          compute again, from the folders' weights, and compare; then load what
                                     Model.SaveMBART writes, without a parameter missing or left over, and compare
                                     its logits with those of the Go model (needs Go)
    mbart_golden.py --large DIR      write a checkpoint of 600 million parameters, of random weights, to measure loading

A folder has a checkpoint with random weights as transformers or another program would write it, and what
MBartForConditionalGeneration computes with it in float32: in reference.json inputs and losses, in
reference.safetensors the logits of all tokens, one document after the other. Needs PyTorch and transformers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"  # everything is on this machine

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, MBartConfig, MBartForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.path.join(REPOSITORY, "marge", "testdata", "mbart")

torch.set_num_threads(1)  # the models are tiny
logging.disable_progress_bar()

BOS, PAD, EOS, LANGUAGES = 0, 1, 2, (4, 5)
IGNORED = -100  # what the loss leaves out
BOUND = 1e-4  # of logits, absolute
MODELS = {
    "scaled": {
        "vocab_size": 64, "max_position_embeddings": 24, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "scale_embedding": True,
    },
    # Unequal sides, embeddings as they are, a bias of the logits, several files.
    "sharded": {
        "vocab_size": 70, "max_position_embeddings": 31, "d_model": 18, "encoder_layers": 3, "decoder_layers": 1,
        "encoder_ffn_dim": 20, "decoder_ffn_dim": 44, "encoder_attention_heads": 2, "decoder_attention_heads": 6,
        "scale_embedding": False,
    },
    # Each tied matrix by itself, names as of MBartModel.
    "bfloat16": {
        "vocab_size": 50, "max_position_embeddings": 20, "d_model": 24, "encoder_layers": 1, "decoder_layers": 2,
        "encoder_ffn_dim": 40, "decoder_ffn_dim": 16, "encoder_attention_heads": 4, "decoder_attention_heads": 2,
        "scale_embedding": True,
    },
    "float16": {
        "vocab_size": 40, "max_position_embeddings": 19, "d_model": 12, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_ffn_dim": 20, "decoder_ffn_dim": 24, "encoder_attention_heads": 3, "decoder_attention_heads": 1,
        "scale_embedding": False,
    },
}  # fmt: skip
TIED = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")


def new_model(sizes, seed):
    config = MBartConfig(dropout=0.1, attention_dropout=0.0, activation_function="gelu", **sizes)
    model = MBartForConditionalGeneration(config).eval()
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        std = 0.3 if parameter.dim() == 2 else 0.1
        parameter.data.normal_(1 if "norm" in name and name.endswith("weight") else 0, std)
    model.tie_weights()
    return model


def save(model, name, folder):
    """Writes a checkpoint in the form that the name says."""
    if name == "sharded":
        model.final_logits_bias.normal_(0, 0.5)
        model.save_pretrained(folder, max_shard_size="24KB")
    elif name == "bfloat16":
        state = {key.removeprefix("model."): t.to(torch.bfloat16).contiguous() for key, t in model.state_dict().items()}
        state |= {key: state["shared.weight"].clone() for key in TIED}
        model.config.save_pretrained(folder)
        save_file(state, os.path.join(folder, "model.safetensors"))
    else:
        if name == "float16":
            model.half()
        model.save_pretrained(folder)
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)


def load(folder):
    """Returns a checkpoint's model in float32, and fails if parameters are missing or left over."""
    model, info = MBartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: info.get(kind) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")}
    if any(wrong.values()):
        raise ValueError(f"{folder}: {wrong}")
    return model.eval()


def load_any(folder, name):
    """load, of the folder whose names are not those of MBartForConditionalGeneration, too."""
    if name != "bfloat16":
        return load(folder)
    model = MBartForConditionalGeneration(MBartConfig.from_pretrained(folder)).eval()
    state = load_file(os.path.join(folder, "model.safetensors"))
    whole = ("lm_head.weight", "final_logits_bias")
    model.load_state_dict({(key if key in whole else "model." + key): t.float() for key, t in state.items()})
    return model


def documents(generator, vocabulary, lengths):
    return [torch.randint(6, vocabulary, (n,), generator=generator).tolist() for n in lengths]


def inputs(config, seed):
    """Returns ids for encoder and decoder as they are read, and a batch of MARGE."""
    generator = torch.Generator().manual_seed(seed)
    v, longest = config.vocab_size, config.max_position_embeddings
    a, b, c, d = documents(generator, v, [7, 3, longest - 2, 1])
    encoder = [
        [*a, EOS, LANGUAGES[0]],  # as mBART's
        [LANGUAGES[1], *b, EOS],  # as mBART-50's
        [BOS, *c, EOS],  # as MARGE's
        d,
    ]
    decoder = [[LANGUAGES[i % 2], *doc] for i, doc in enumerate(documents(generator, v, [5, longest - 1, 12, 0]))]
    batch = {
        "evidence": documents(generator, v, [4, 11, 1]), "targets": documents(generator, v, [6, 10]),
        "languages": list(LANGUAGES), "own": [],
    }  # fmt: skip
    return encoder, decoder, batch


def padded(rows, value=PAD):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def logits(model, encoder, decoder):
    """Returns the logits of all tokens of the decoder's documents: [tokens, vocabulary]."""
    ids, read = padded(encoder), padded(decoder)
    mask = torch.tensor([[1] * len(row) + [0] * (ids.shape[1] - len(row)) for row in encoder])
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, decoder_input_ids=read, use_cache=False).logits
        steps = cached(model, ids, mask, read)
    if (difference := (out - steps).abs().max().item()) > BOUND / 10:
        raise ValueError(f"with a cache transformers computes other logits, by {difference}")
    return torch.cat([row[: len(doc)] for row, doc in zip(out, decoder)]).contiguous()


def cached(model, ids, mask, read):
    """Computes the logits token by token."""
    states = BaseModelOutput(last_hidden_state=model.model.encoder(ids, attention_mask=mask).last_hidden_state)
    cache, steps = None, []
    for i in range(read.shape[1]):
        token = read[:, i : i + 1]
        out = model(encoder_outputs=states, attention_mask=mask, decoder_input_ids=token, cache=cache, use_cache=True)
        cache = out.cache
        steps.append(out.logits)
    return torch.cat(steps, 1)


def loss(model, batch, evidence):
    """Returns the mean loss of the batch's targets, given evidence documents one after the other."""
    with torch.no_grad():
        states = [model.model.encoder(torch.tensor([[BOS, *doc, EOS]])).last_hidden_state[0] for doc in evidence]
        states = torch.cat(states)[None].expand(len(batch["targets"]), -1, -1)
        read = padded([[lang, *doc] for lang, doc in zip(batch["languages"], batch["targets"])])
        labels = padded([[*doc, EOS] for doc in batch["targets"]], IGNORED)
        out = model(encoder_outputs=BaseModelOutput(last_hidden_state=states), decoder_input_ids=read, labels=labels)
    return out.loss.item()


def reference(model, seed):
    encoder, decoder, batch = inputs(model.config, seed)
    values = {
        "encoder": encoder, "decoder": decoder, "batch": batch,
        "loss": loss(model, batch, batch["evidence"]), "loss_of_first": loss(model, batch, batch["evidence"][:1]),
    }  # fmt: skip
    return values, {"logits": logits(model, encoder, decoder)}


def write():
    for seed, (name, sizes) in enumerate(MODELS.items()):
        folder = os.path.join(FOLDER, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        save(new_model(sizes, seed), name, folder)
        values, tensors = reference(load_any(folder, name), seed)
        with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as file:
            json.dump(values, file)
            file.write("\n")
        save_file(tensors, os.path.join(folder, "reference.safetensors"))


def compare(name, got, want, bound):
    """Prints the greatest difference and returns whether it is within its bound."""
    difference = (got - want).abs().max().item()
    print(f"{difference:12.3e} {bound:12.3e}  {name}")
    return difference <= bound


def check_folders():
    good = True
    for seed, name in enumerate(MODELS):
        folder = os.path.join(FOLDER, name)
        values, tensors = reference(load_any(folder, name), seed)
        with open(os.path.join(folder, "reference.json"), encoding="utf-8") as file:
            wanted = json.load(file)
        good &= values["batch"] == wanted["batch"] and values["encoder"] == wanted["encoder"]
        for key in ("loss", "loss_of_first"):
            good &= compare(f"{name}: {key}", torch.tensor(values[key]), torch.tensor(wanted[key]), 1e-5)
        want = load_file(os.path.join(folder, "reference.safetensors"))["logits"]
        good &= compare(f"{name}: logits", tensors["logits"], want, 1e-5)
    return good


def check_saved():
    """Compares the logits of what a Go test saves with those that it computes itself."""
    good = True
    with tempfile.TemporaryDirectory() as work:
        command = ["go", "test", "-count=1", "-run", "^TestSaveMBART$", "./marge"]
        subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"MARGE_PEERS": work}, check=True)
        root = os.path.join(work, "mbart")
        for name in sorted(os.listdir(root)):
            model = load(os.path.join(root, name))
            with open(os.path.join(root, name, "inputs.json"), encoding="utf-8") as file:
                values = json.load(file)
            want = load_file(os.path.join(root, name, "logits.safetensors"))["logits"]
            good &= compare(f"{name}, saved: logits", logits(model, values["encoder"], values["decoder"]), want, BOUND)
            if "text" in values:
                tokenizer = AutoTokenizer.from_pretrained(os.path.join(root, name))
                ids = tokenizer(values["text"], split_special_tokens=True)["input_ids"]
                if ids != [BOS, *values["ids"], EOS]:
                    print(f"{name}, saved: the tokenizer's ids are {ids}, not those of {values['ids']}")
                    good = False
    return good


def large(folder):
    """mBART-50's sizes, weights in float32."""
    config = MBartConfig(vocab_size=250054, scale_embedding=True)
    model = MBartForConditionalGeneration(config)
    print(sum(p.numel() for p in model.parameters()), "parameters")
    model.save_pretrained(folder, max_shard_size="10GB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare with the folders instead of writing them")
    parser.add_argument("--large", metavar="DIR", help="write a large checkpoint instead")
    args = parser.parse_args()
    if args.large:
        large(args.large)
        return 0
    if not args.check:
        write()
        return 0
    good = check_folders()
    return 0 if check_saved() and good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"mbart_golden: {error}")
