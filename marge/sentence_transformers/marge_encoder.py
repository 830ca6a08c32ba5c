"""The encoder g of a MARGE model (Lewis et al., "Pre-training via Paraphrasing", arXiv:2006.15020) as the first module
of a sentence-transformers model. The modules after it sum up the tokens, normalise the sum and scale it to length 1.

Model.SaveSentenceTransformers of github.com/marge-go/marge writes this file beside config.json, model.safetensors and
tokenizer.json.
"""

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn

try:
    from sentence_transformers.base.modules import InputModule
except ImportError:  # before version 6
    from sentence_transformers.models import InputModule

BOS, PAD, EOS = 0, 1, 2


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, mask):
        q, k, v = (p(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A pre-norm Transformer block."""

    def __init__(self, width, heads, ffn):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x, mask):
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class Encoder(nn.Module):
    """What has names below "encoder" in the weights: all but the token embeddings."""

    def __init__(self, width, heads, ffn, layers, positions, features):
        super().__init__()
        self.embed_positions = nn.Embedding(positions, width)
        self.layernorm_embedding = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, heads, ffn) for _ in range(layers))
        if features:
            self.retrieval_proj = nn.Linear(width, features, bias=False)


class MargeEncoder(InputModule):
    """Turns texts into token_embeddings [texts, tokens, width]: the outputs of g's layers or, if g takes the maximum of
    retrieval_dim functions of the tokens, these functions."""

    config_keys = [
        "vocab_size", "d_model", "encoder_ffn_dim", "encoder_attention_heads", "retrieval_layers", "retrieval_dim",
        "max_position_embeddings", "embedding_scale", "max_seq_length",
    ]  # fmt: skip

    def __init__(
        self, vocab_size, d_model, encoder_ffn_dim, encoder_attention_heads, retrieval_layers, retrieval_dim,
        max_position_embeddings, embedding_scale, max_seq_length, tokenizer=None,
    ):  # fmt: skip
        super().__init__()
        self.vocab_size = vocab_size
        self.d_model = d_model
        self.encoder_ffn_dim = encoder_ffn_dim
        self.encoder_attention_heads = encoder_attention_heads
        self.retrieval_layers = retrieval_layers
        self.retrieval_dim = retrieval_dim
        self.max_position_embeddings = max_position_embeddings
        self.embedding_scale = embedding_scale
        self.max_seq_length = max_seq_length  # with <s> and </s>
        self.tokenizer = tokenizer
        self.shared = nn.Embedding(vocab_size, d_model)
        self.encoder = Encoder(
            d_model, encoder_attention_heads, encoder_ffn_dim, retrieval_layers, max_position_embeddings, retrieval_dim
        )

    def preprocess(self, inputs, prompt=None, **kwargs):
        """Returns input_ids and attention_mask [texts, tokens]: <s> tokens </s>, cut to max_seq_length."""
        if not all(isinstance(text, str) for text in inputs):
            raise TypeError("a MARGE encoder reads texts, given as strings")
        longest = min(self.max_seq_length, self.max_position_embeddings) - 2
        encodings = self.tokenizer.encode_batch([(prompt or "") + text for text in inputs], add_special_tokens=False)
        rows = [[BOS, *encoding.ids[:longest], EOS] for encoding in encodings]
        width = max(map(len, rows))
        return {
            "input_ids": torch.tensor([row + [PAD] * (width - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
        }

    def tokenize(self, texts, **kwargs):
        """preprocess by its name before version 6."""
        return self.preprocess(texts, **kwargs)

    def forward(self, features, **kwargs):
        ids, mask = features["input_ids"], features["attention_mask"].bool()[:, None, None]
        e = self.encoder
        x = self.shared(ids) * self.embedding_scale + e.embed_positions.weight[: ids.shape[1]]
        x = e.layernorm_embedding(x)
        for layer in e.layers:
            x = layer(x, mask)
        features["token_embeddings"] = e.retrieval_proj(x) if self.retrieval_dim else x
        return features

    def get_embedding_dimension(self):
        return self.retrieval_dim or self.d_model

    get_word_embedding_dimension = get_embedding_dimension

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)
        self.tokenizer.save(f"{output_path}/tokenizer.json")

    @classmethod
    def load(
        cls, model_name_or_path, subfolder="", token=None, cache_folder=None, revision=None, local_files_only=False,
        **kwargs,
    ):  # fmt: skip
        where = {
            "model_name_or_path": model_name_or_path, "subfolder": subfolder, "token": token,
            "cache_folder": cache_folder, "revision": revision, "local_files_only": local_files_only,
        }  # fmt: skip
        config = cls.load_config(**where)
        tokenizer = Tokenizer.from_file(cls.load_file_path(filename="tokenizer.json", **where))
        tokenizer.encode_special_tokens = True  # "<s>" in a text is text
        tokenizer.no_padding()
        tokenizer.no_truncation()
        model = cls(**{key: config[key] for key in cls.config_keys}, tokenizer=tokenizer)
        return cls.load_torch_weights(model=model, **where)
