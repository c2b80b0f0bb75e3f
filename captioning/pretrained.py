"""Captions by a pretrained image-to-text model, with the depth put into words beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captioning.lexicon import POSITIONS

NEAR, FAR = 0.6, 0.3
"""Bounds of `depth_words` on inverse depth scaled to [0, 1]: above the first is near, below the second far away."""
PHRASES = {"near": "near", "mid": "at mid distance", "far": "far away"}


class PretrainedCaptioner(nn.Module):
    """Any transformers model of the image-text-to-text kind (BLIP, BLIP-2, GIT ...) in the place of `DepthCaptioner`.

    Such a model takes no depth map: it describes the visible and the infrared image by one sentence each, and a third
    one says how far the thirds of the view are.

    Args:
        model: what `AutoModelForImageTextToText` gave.
        processor: its processor: images and text to the model's inputs, and back.
        prompt: text the model goes on from, where its kind needs one.
        max_new_tokens: longest sentence, tokens.
    """

    def __init__(self, model: Any, processor: Any, prompt: str | None = None, max_new_tokens: int = 40) -> None:
        super().__init__()
        self.model = model
        self.processor = processor
        self.prompt = prompt
        self.max_new_tokens = max_new_tokens

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        prompt: str | None = None,
        local_files_only: bool = False,
        hint: str = "give a folder, or leave the captioner out to use the embedded one",
    ) -> PretrainedCaptioner:
        """A frozen captioner in evaluation mode from a folder or a hub id.

        Args:
            source: folder of a saved model and processor, or hub id (``Salesforce/blip-image-captioning-base``).
            prompt: see the class.
            local_files_only: never ask the network.
            hint: what the user can do when the model is missing; ends the error's line.

        Raises:
            FileNotFoundError: the model is not there and cannot be downloaded.
            ValueError: it is there and is no image-to-text model.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        name = str(source)
        missing = f"captioning model {name} not found"
        if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
            raise FileNotFoundError(f"{missing} (the folder has no config.json); {hint}")
        options = {"local_files_only": local_files_only}
        try:
            model = AutoModelForImageTextToText.from_pretrained(name, use_safetensors=True, **options)
            processor = AutoProcessor.from_pretrained(name, **options)
        except OSError as error:
            place = "the folder lacks its weights" if Path(name).is_dir() else "no such folder, hub or cache entry"
            raise FileNotFoundError(f"{missing} ({place}); {hint}") from error
        except (ValueError, KeyError) as error:
            line = (str(error).splitlines() or ["no reason given"])[0]
            raise ValueError(f"captioning model {name} is no image-text-to-text model: {line}") from error
        return cls(model, processor, prompt).requires_grad_(False).eval()

    @torch.no_grad()
    def describe(
        self,
        visible: Tensor,
        infrared: Tensor,
        depth_visible: Tensor,
        depth_infrared: Tensor,
        style: str = "pretrained",
        beams: int = 3,
    ) -> list[dict[str, Any]]:
        """Per image `caption`, `style` and `facts` (`depth`: third -> near, mid or far), as `DepthCaptioner.describe`.

        Args:
            visible: (B, 3, H, W) in [0, 1].
            infrared: (B, 1, H, W) in [0, 1].
            depth_visible, depth_infrared: (B, 1, h, w) relative inverse depth.
            style: returned as it is; the model has one style.
            beams: of the search.
        """
        seen = self._sentences(visible, beams)
        felt = self._sentences(infrared.expand(-1, 3, -1, -1), beams)
        distances = third_distances(depth_visible, depth_infrared)
        return [
            {
                "caption": f"{_sentence(light)} In the infrared: {_sentence(heat)} {depth_words(distance)}",
                "style": style,
                "facts": {"depth": distance},
            }
            for light, heat, distance in zip(seen, felt, distances, strict=True)
        ]

    def _sentences(self, images: Tensor, beams: int) -> list[str]:
        pixels = list((images.clamp(0, 1) * 255).round().to(torch.uint8).cpu())
        text = {} if self.prompt is None else {"text": [self.prompt] * len(pixels)}
        inputs = self.processor(images=pixels, return_tensors="pt", **text).to(self.model.device)
        numbers = self.model.generate(**inputs, num_beams=beams, do_sample=False, max_new_tokens=self.max_new_tokens)
        said: Sequence[str] = self.processor.batch_decode(numbers, skip_special_tokens=True)
        return [text.strip().removeprefix((self.prompt or "").strip()).strip() for text in said]


def third_distances(depth_visible: Tensor, depth_infrared: Tensor) -> list[dict[str, str]]:
    """Per image: left, center and right third -> near, mid or far.

    Each map (B, 1, h, w) of relative inverse depth is scaled so that its 2nd and 98th percentile become 0 and 1; the
    two are averaged. A third is as near as the upper quartile of its upper three quarters: the ground at the bottom
    edge is always near and would say nothing.
    """
    thirds = []
    for depth in (depth_visible, depth_infrared):
        low, high = torch.quantile(depth.flatten(1).float(), torch.tensor([0.02, 0.98], device=depth.device), dim=1)
        unit = (depth[:, 0] - low[:, None, None]) / (high - low).clamp(min=1e-6)[:, None, None]
        above = unit[:, : max(1, unit.shape[1] * 3 // 4)]
        parts = above.tensor_split(len(POSITIONS), dim=2)
        thirds.append(torch.stack([torch.quantile(part.flatten(1).float(), 0.75, dim=1) for part in parts], dim=1))
    nearness = torch.stack(thirds).mean(0)
    return [
        {place: "near" if n > NEAR else "far" if n < FAR else "mid" for place, n in zip(POSITIONS, row, strict=True)}
        for row in nearness.tolist()
    ]


def depth_words(distances: dict[str, str]) -> str:
    """One sentence that says how far each third of the view is."""
    left, center, right = (PHRASES[distances[place]] for place in POSITIONS)
    return f"Things are {left} on the left, {center} in the center and {right} on the right."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('. ')}."
