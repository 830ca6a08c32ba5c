"""Tests of the PyTorch reference itself: python -m unittest"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import unittest

import torch
from safetensors.torch import load_file

import marge_torch
from marge_torch import BOS, EOS, Batch, Config, Marge

CONFIG = Config(60, 16, 3, 24, 2, 1, 24, 2, 40, 2, 2, 24)
EVIDENCE = [[10, 11, 12, 13, 14], [20], [30, 31, 32]]
TARGETS = [[15, 16, 17], [10, 11, 12, 13, 14], [25]]
LANGUAGES = [5, 6, 5]


def new_model(seed=3):
    model = Marge(CONFIG)
    model.randomise(seed)
    return model.double().eval()


def run(model, evidence=EVIDENCE, targets=TARGETS, languages=LANGUAGES, own=((1, 0),)):
    return marge_torch.reference(model, Batch.collate(evidence, targets, languages, own))


class ReferenceTest(unittest.TestCase):
    def test_parameter_names(self):
        layer = [f"{name}.{kind}" for name in ("fc1", "fc2", "self_attn_layer_norm", "final_layer_norm") for kind in ("weight", "bias")]
        layer += [f"self_attn.{name}_proj.{kind}" for name in "q k v out".split() for kind in ("weight", "bias")]
        cross = [name.replace("self_attn", "encoder_attn") for name in layer if "self_attn" in name]
        want = {"shared.weight", "beta", "encoder.retrieval_layer_norm.weight", "encoder.retrieval_layer_norm.bias"}
        for half in ("encoder", "decoder"):
            want.add(f"{half}.embed_positions.weight")
            want |= {f"{half}.{norm}.{kind}" for norm in ("layernorm_embedding", "layer_norm") for kind in ("weight", "bias")}
        want |= {f"encoder.layers.{n}.{name}" for n in range(3) for name in layer}
        want |= {f"decoder.base_layers.0.{name}" for name in layer}
        want |= {f"decoder.layers.{n}.{name}" for n in range(2) for name in layer + cross}
        self.assertEqual(want, new_model().state_dict().keys())

    def test_against_naive_attention(self):
        """The loss of one target, computed document by document and query by query without masks or padding."""
        model = new_model()
        evidence, target, language = EVIDENCE[:2], TARGETS[0], LANGUAGES[0]
        loss, _ = model(Batch.collate(evidence, [target], [language]))

        def sub_layer(attention, query, keys, bias, causal):
            q, k, v = attention.q_proj(query), attention.k_proj(keys), attention.v_proj(keys)
            heads = []
            for h in range(2):
                part = slice(8 * h, 8 * h + 8)
                rows = []
                for t in range(len(query)):
                    end = t + 1 if causal else len(keys)
                    scores = k[:end, part] @ q[t, part] / 8**0.5 + bias[:end]
                    rows.append((scores.exp() / scores.exp().sum()) @ v[:end, part])
                heads.append(torch.stack(rows))
            return attention.out_proj(torch.cat(heads, 1))

        def layer(module, x, causal=False, memory=None, bias=None):
            h = module.self_attn_layer_norm(x)
            x = x + sub_layer(module.self_attn, h, h, torch.zeros(len(x), dtype=x.dtype), causal)
            if memory is not None:
                x = x + sub_layer(module.encoder_attn, module.encoder_attn_layer_norm(x), memory, bias, False)
            h = module.fc1(module.final_layer_norm(x))
            h = 0.5 * h * (1 + torch.erf(h / 2**0.5))
            return x + module.fc2(h)

        def embed(half, ids):
            x = torch.stack([model.shared.weight[i] * 4 + half.embed_positions.weight[p] for p, i in enumerate(ids)])
            return half.layernorm_embedding(x)

        def encode(tokens):
            x = embed(model.encoder, [BOS, *tokens, EOS])
            for n, module in enumerate(model.encoder.layers):
                x = layer(module, x)
                if n == 1:
                    g = model.encoder.retrieval_layer_norm(x[0])
            return model.encoder.layer_norm(x), g / g.norm()

        _, g = encode(target)
        memory, bias = [], []
        for tokens in evidence:
            states, evidence_g = encode(tokens)
            memory.append(states)
            bias += [model.beta * (g @ evidence_g)] * len(states)
        x = embed(model.decoder, [language, *target])
        x = layer(model.decoder.base_layers[0], x, causal=True)
        for module in model.decoder.layers:
            x = layer(module, x, True, torch.cat(memory), torch.cat(bias))
        log_p = (model.decoder.layer_norm(x) @ model.shared.weight.T).log_softmax(-1)
        want = -sum(log_p[t, token] for t, token in enumerate([*target, EOS])) / (len(target) + 1)
        torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-12)

    def test_pooling(self):
        """g of every pooling, of documents in one padded batch, against a loop over the tokens of each alone."""
        for pooling, width in (("first", 16), ("mean", 16), ("max", 40)):
            with self.subTest(pooling):
                dim = width if pooling == "max" else 0
                model = Marge(dataclasses.replace(CONFIG, retrieval_pooling=pooling, retrieval_dim=dim))
                model.randomise(3)
                encoder = model.double().eval().encoder
                batch = Batch.collate(EVIDENCE, TARGETS, LANGUAGES)
                _, g = encoder.retrieve(batch.evidence, batch.evidence_mask, model.shared)
                self.assertEqual(g.shape, (len(EVIDENCE), width))
                for row, tokens in zip(g, EVIDENCE):
                    x, _ = encoder.retrieve(torch.tensor([[BOS, *tokens, EOS]]), None, model.shared)
                    rows = list(x[0])
                    if pooling == "first":
                        pooled = rows[0]
                    elif pooling == "mean":
                        pooled = sum(rows) / len(rows)
                    else:
                        functions = encoder.retrieval_proj.weight
                        pooled = torch.stack([max(function @ token for token in rows) for function in functions])
                    torch.testing.assert_close(row, encoder.retrieval_layer_norm(pooled), rtol=1e-12, atol=1e-12)

    def test_padding_changes_nothing(self):
        """The loss over a ragged batch is the token mean of the losses of its targets alone, with their evidence."""
        model = new_model()
        together, relevance = model(Batch.collate(EVIDENCE, TARGETS, LANGUAGES, [(1, 0)]))
        total, tokens = 0.0, 0
        for i, target in enumerate(TARGETS):
            visible = [j for j in range(len(EVIDENCE)) if (i, j) != (1, 0)]
            loss, f = model(Batch.collate([EVIDENCE[j] for j in visible], [target], LANGUAGES[i : i + 1]))
            torch.testing.assert_close(f[0], relevance[i, visible], rtol=1e-12, atol=1e-12)
            total, tokens = total + loss * (len(target) + 1), tokens + len(target) + 1
        torch.testing.assert_close(together, total / tokens, rtol=1e-12, atol=1e-12)

    def test_masked_pair_has_no_gradient(self):
        """A document that its only target may not see changes neither loss nor gradients."""
        model = new_model()
        with_own = run(model, [EVIDENCE[0], EVIDENCE[2]], TARGETS[1:2], [6], [(0, 0)])
        without = run(model, [EVIDENCE[2]], TARGETS[1:2], [6], [])
        self.assertAlmostEqual(with_own["f"][0, 0].item(), 1.0, places=6)  # its own copy
        for name in without.keys() - {"f"}:
            torch.testing.assert_close(with_own[name], without[name], msg=lambda text: f"{name}: {text}")

    def test_all_evidence_masked_is_no_evidence(self):
        model = new_model()
        masked = run(model, EVIDENCE[:1], TARGETS[1:2], [6], [(0, 0)])
        without = run(model, [], TARGETS[1:2], [6], [])
        self.assertEqual(without["f"].shape, (1, 0))
        self.assertTrue(masked["loss"].isfinite().all())
        for name in without.keys() - {"f"}:
            torch.testing.assert_close(masked[name], without[name], msg=lambda text: f"{name}: {text}")

    def test_gradients_by_finite_differences(self):
        model = new_model()
        batch = Batch.collate(EVIDENCE, TARGETS, LANGUAGES, [(1, 0)])
        loss, _ = model(batch)
        loss.backward()
        generator = torch.Generator().manual_seed(5)
        for name in (
            "beta",
            "shared.weight",
            "encoder.embed_positions.weight",
            "encoder.retrieval_layer_norm.weight",
            "encoder.layers.0.self_attn.q_proj.weight",
            "encoder.layers.2.fc1.bias",
            "decoder.base_layers.0.self_attn.v_proj.weight",
            "decoder.layers.0.encoder_attn.k_proj.weight",
            "decoder.layers.1.encoder_attn_layer_norm.bias",
        ):
            parameter = model.get_parameter(name)
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            want = (parameter.grad * direction).sum()
            step = 1e-5
            with torch.no_grad():
                original = parameter.clone()
                parameter.copy_(original + step * direction)
                above, _ = model(batch)
                parameter.copy_(original - step * direction)
                below, _ = model(batch)
                parameter.copy_(original)
            torch.testing.assert_close((above - below) / (2 * step), want, rtol=1e-6, atol=1e-8, msg=lambda text: f"{name}: {text}")

    def test_float32_agrees_with_float64(self):
        model = new_model()
        double = run(model)
        for name, tensor in run(model.float()).items():
            torch.testing.assert_close(tensor, double[name], rtol=1e-4, atol=1e-5, msg=lambda text: f"{name}: {text}")

    def test_dropout_only_in_training(self):
        model = new_model()
        batch = Batch.collate(EVIDENCE, TARGETS, LANGUAGES)
        self.assertEqual(model(batch)[0], model(batch)[0])
        model.train()
        self.assertNotEqual(model(batch)[0], model(batch)[0])

    def test_checkpoint_round_trip(self):
        model = new_model().float()
        with tempfile.TemporaryDirectory() as directory:
            model.save(directory)
            self.assertEqual(load_file(os.path.join(directory, "model.safetensors")).keys(), model.state_dict().keys())
            with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
                values = json.load(file)
            self.assertEqual((values["model_type"], values["architectures"]), ("marge", ["Marge"]))
            again = Marge.load(directory)
            self.assertEqual(again.config, CONFIG)
            batch = Batch.collate(EVIDENCE, TARGETS, LANGUAGES)
            self.assertEqual(again.eval()(batch)[0], model(batch)[0])

    def test_benchmark(self):
        """A step is measured where it is asked for; on a device a batch has all of its parts there."""
        step = ["--bench", "--init", "tiny", "--evidence", "2", "--targets", "1", "--tokens", "4", "--warmup", "0", "--steps", "1"]
        script = [sys.executable, marge_torch.__file__, *step]
        result = subprocess.run([*script, "--matmul", "high"], capture_output=True, text=True, check=True)
        figures = json.loads(result.stdout)
        self.assertEqual((figures["device"], figures["matmul"], figures["steps"]), ("cpu", "high", 1))
        self.assertGreater(figures["step_seconds_median"], 0)
        if not torch.cuda.is_available():
            result = subprocess.run([*script, "--device", "cuda"], capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stderr.strip()), (1, "marge_torch.py: PyTorch sees no card"))
        for values in (EVIDENCE, EVIDENCE[:1]):  # padded or not
            batch = Batch.collate(values, TARGETS[:1], [5]).to("meta")
            parts = [getattr(batch, field.name) for field in dataclasses.fields(batch)]
            self.assertTrue(all(part is None or part.device.type == "meta" for part in parts))

    def test_bad_batches(self):
        good = {"evidence": EVIDENCE, "targets": TARGETS, "languages": LANGUAGES, "own": []}
        for change, message in (
            ({"own": [[0, 3]]}, "own pair"),
            ({"targets": []}, "without targets"),
            ({"languages": [5]}, "languages"),
            ({"evidence": [[60]]}, "outside the vocabulary"),
            ({"evidence": [[9] * 23]}, "positions"),
        ):
            with self.subTest(message), tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "batch.json")
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(good | change, file)
                with self.assertRaisesRegex(ValueError, message):
                    Batch.load(path, CONFIG)

    def test_paper_size(self):
        """963 million parameters with the published sizes (section 3)."""
        paper = dataclasses.replace(
            CONFIG,
            vocab_size=250_000,
            d_model=1024,
            encoder_layers=12,
            encoder_ffn_dim=4096,
            decoder_base_layers=4,
            decoder_base_ffn_dim=4096,
            decoder_layers=12,
            decoder_ffn_dim=16384,
            max_position_embeddings=1024,
        )
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in Marge(paper).parameters())
        self.assertEqual(round(parameters / 1e6), 963)


if __name__ == "__main__":
    unittest.main()
