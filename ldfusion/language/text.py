"""`TextEncoder`: sentences to text features, through a CLIP text tower of open_clip.

The embedded default is a small tower that was trained on pairs and captions (stage ``text``); any of open_clip's own
text towers, ViT-B-32 with the OpenAI weights first of all, takes its place through `TextEncoder.from_open_clip`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor, nn

from ldfusion.errors import InputError
from ldfusion.language.tokenizer import PromptTokenizer

FALLBACK = "without the option model.text (Python: the argument text_encoder) the embedded text encoder is used"
TOWER_KEYS = ("width", "heads", "layers", "context_length", "mlp_ratio")
"""Settings of an open_clip text tower that `TextEncoder` has too."""


class TextEncoder(ModelMixin, ConfigMixin):
    """Sentences to features (B, D), not normalised, as Text-IF (CVPR 2024) takes them from CLIP.

    The tower is CLIP's: a causal transformer whose output at the end token is projected to ``dim`` numbers.

    Args:
        dim: width D of the feature.
        width, heads, layers, mlp_ratio: the transformer.
        context_length: tokens of a sentence including start and end.
        merges: byte-pair merges of the vocabulary, see `PromptTokenizer`; empty: CLIP's own 49,408 tokens.
        quick_gelu: the activation of OpenAI's weights, x sigmoid(1.702 x), instead of GELU.
        labels: what the linear head on the feature tells to be named in a sentence; empty: no head.
    """

    @register_to_config
    def __init__(
        self,
        dim: int = 128,
        width: int = 128,
        heads: int = 4,
        layers: int = 3,
        mlp_ratio: float = 4.0,
        context_length: int = 77,
        merges: str = "0-999",
        quick_gelu: bool = False,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.dim, self.labels = dim, tuple(labels)
        self.tokenizer = PromptTokenizer(merges, context_length)
        self.tower = TextTransformer(
            context_length=context_length,
            vocab_size=self.tokenizer.vocab_size,
            width=width,
            heads=heads,
            layers=layers,
            mlp_ratio=mlp_ratio,
            output_dim=dim,
            act_layer=QuickGELU if quick_gelu else nn.GELU,
        )
        self.label_head = nn.Linear(dim, len(self.labels)) if self.labels else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, context_length) of `PromptTokenizer` to features (B, D)."""
        features: Tensor = self.tower(tokens)
        return features

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Features (B, D) of B sentences, on the encoder's device.

        Raises:
            InputError: an empty sentence, or one that is not UTF-8 text.
        """
        features: Tensor = self.forward(self.tokenizer(list(texts)).to(self.device))
        return features

    def label_logits(self, features: Tensor) -> Tensor:
        """Features (B, D) to one logit for each of ``labels``, (B, K).

        Raises:
            ValueError: the encoder was built without labels.
        """
        if self.label_head is None:
            raise ValueError("this text encoder has no labels; the embedded one and those of stage 'text' have")
        logits: Tensor = self.label_head(features)
        return logits

    @torch.no_grad()
    def named_classes(self, texts: Sequence[str]) -> Tensor:
        """Probability (B, K) that each of ``labels`` is named in each sentence: what the guidance has understood."""
        return torch.sigmoid(self.label_logits(self.encode(texts)))

    @classmethod
    def from_open_clip(cls, name: str = "ViT-B-32", pretrained: str = "") -> TextEncoder:
        """The text tower of an open_clip model.

        Args:
            name: a model of open_clip (``ViT-B-32``), ``hf-hub:owner/name``, or a folder with ``open_clip_config.json``
                and safetensors weights.
            pretrained: for a model of open_clip, a tag that it knows (``openai``) or a safetensors file.

        Raises:
            InputError: unknown model or tag, weights that are neither there nor to be downloaded, or a text tower that
                is not CLIP's.
        """
        import open_clip
        from huggingface_hub import constants

        where = f"text encoder '{name}'" + (f" with weights '{pretrained}'" if pretrained else "")
        folder = Path(name)
        if folder.is_dir():
            if not (folder / "open_clip_config.json").is_file() or not any(folder.glob("*.safetensors")):
                raise InputError(f"{where}: open_clip_config.json and a .safetensors file must be there; {FALLBACK}")
            name = f"local-dir:{folder}"
        elif ":" not in name and name not in open_clip.list_models():
            raise InputError(f"{where}: neither a folder nor a model of open_clip, e.g. ViT-B-32; {FALLBACK}")
        tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained else {}
        if ":" not in name and not tag and not (pretrained.endswith(".safetensors") and Path(pretrained).is_file()):
            known = ", ".join(open_clip.list_pretrained_tags_by_model(name)[:4])
            raise InputError(f"{where}: give a .safetensors file or a known tag ({known}, ...); {FALLBACK}")
        try:
            config = open_clip.get_model_config(name)
            quick_gelu = bool(config.get("quick_gelu") or tag.get("quick_gelu"))
            check_tower(config["text_cfg"], where)
            model = open_clip.create_model(
                name,
                pretrained or None,
                force_quick_gelu=quick_gelu,
                force_custom_text=True,
                require_pretrained=True,
            )
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{where}: not found in {constants.HF_HUB_CACHE} and not to be downloaded, or not readable "
                f"({str(error).splitlines()[0][:160]}); {FALLBACK}"
            ) from error
        settings = {key: config["text_cfg"][key] for key in TOWER_KEYS if key in config["text_cfg"]}
        encoder = cls(dim=config["embed_dim"], merges="", quick_gelu=quick_gelu, **settings)
        encoder.tower.load_state_dict(model.text.state_dict())
        return encoder.eval()


def check_tower(settings: Mapping[str, Any], where: str) -> None:
    """Raise `InputError` unless an open_clip ``text_cfg`` describes CLIP's own text tower."""
    other = sorted(set(settings) - {*TOWER_KEYS, "vocab_size"})
    if other or settings.get("vocab_size", 49408) != 49408:
        reason = f"setting '{other[0]}'" if other else f"a vocabulary of {settings['vocab_size']}"
        raise InputError(f"{where}: its text tower has {reason}, which CLIP's does not have; {FALLBACK}")
