"""The pipeline as a fusion method: fused by a sentence, which can be held over the frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ldfusion.fusion.steady import SteadyCoefficients
from ldfusion.fusion.tone import Tone, tone_controls

if TYPE_CHECKING:
    from ldfusion.pipeline import LDFusionPipeline


class SentenceFusion(nn.Module):
    """`LDFusionPipeline` reduced to its fused image.

    The sentence is the prompt, or the caption of each pair. While one is held (`hold`), depth and caption are left out
    and every pair is fused by it; the noise of the extractor is the same for all pairs of one size in any case, so that
    an image that does not change gives a result that does not change.

    Args:
        pipe: the pipeline.
        prompt: sentence that guides the fusion in the caption's place.
        seed: of the extractor's noise.
        timesteps: other noise levels than the pipeline's, as many.
        tone: see `ldfusion.fusion.tone`.

    Attributes:
        steady: follows the coefficients over the frames of a video; None: every pair by itself.

    Raises:
        InputError: a prompt, timesteps or a tone that the pipeline cannot use.
    """

    name = "ldfusion"

    def __init__(
        self,
        pipe: LDFusionPipeline,
        prompt: str | None = None,
        seed: int = 0,
        timesteps: Sequence[int] | None = None,
        tone: Tone = "natural",
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList([pipe.fuser, pipe.twin, pipe.text_encoder, pipe.captioner])
        self.pipe, self.prompt, self.seed, self.timesteps = pipe, prompt, seed, timesteps
        if timesteps is not None:
            pipe.fuser.extractor.check_timesteps(timesteps)
        if prompt is not None:
            pipe.text_encoder.tokenizer(prompt)
        self.tone = tone_controls(tone)
        self.steady: SteadyCoefficients | None = None
        self._held: Tensor | None = None
        self._noise: Tensor | None = None

    def describe(self, visible: Tensor, infrared: Tensor) -> list[str]:
        """One sentence for each pair: the prompt, or the caption. Inputs as in `FusionMethod`."""
        if self.prompt is not None:
            return [self.prompt] * len(visible)
        return [found["caption"] for found in self.pipe.caption(visible, infrared)]

    @torch.no_grad()
    def sentence(self, visible: Tensor, infrared: Tensor) -> tuple[str, Tensor]:
        """The sentence of one pair (1, 3, H, W), (1, 1, H, W), and its feature (1, D) for `hold`."""
        text = self.describe(visible, infrared)[0]
        return text, self.pipe.text_encoder.encode([text])

    def hold(self, feature: Tensor | None, time: float = 0.0) -> None:
        """Fuse what follows as the frame at ``time`` seconds of a video under this sentence feature (1, D).

        ``None``: each pair by itself and by its own sentence again.
        """
        self._held = feature
        if feature is None:
            self.steady = None
            return
        self.steady = self.steady or SteadyCoefficients()
        self.steady.at(time)

    @torch.no_grad()
    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        from ldfusion.diffusion.features import pipeline_noise

        text = self._held
        if text is None:
            text = self.pipe.text_encoder.encode(self.describe(visible, infrared))
        shape = self.pipe.fuser.working_shape(*visible.shape[-2:])
        if self._noise is None or self._noise.shape[-2:] != shape:
            self._noise = pipeline_noise((1, *shape), self.seed, None, visible.device)
        batch, steady = len(visible), self.steady
        return self.pipe.fuser.fuse(
            visible,
            infrared,
            text.expand(batch, -1),
            self._noise.expand(batch, -1, -1, -1),
            self.timesteps,
            self.tone.to(visible.device),
            None if steady is None else steady.token,
            None if steady is None else steady.grid,
        )


def load_sentence_fusion(
    weights: str | None = None,
    prompt: str | None = None,
    seed: int = 0,
    timesteps: Sequence[int] | None = None,
    tone: Tone = "natural",
) -> SentenceFusion:
    """`SentenceFusion` of the pipeline in a folder or of a hub id, by default the embedded one.

    Raises:
        InputError: nothing usable there, or a prompt, timesteps or a tone that it cannot use.
    """
    from ldfusion.pipeline import LDFusionPipeline

    return SentenceFusion(LDFusionPipeline.from_pretrained(weights), prompt, seed, timesteps, tone)
