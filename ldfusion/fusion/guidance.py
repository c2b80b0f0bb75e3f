"""What guides the pipeline, and frames of a video that are fused under one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ldfusion.diffusion.features import pipeline_noise
from ldfusion.fusion.base import FusionMethod
from ldfusion.fusion.fuser import Fuser
from ldfusion.fusion.steady import SteadyFrames
from ldfusion.fusion.tone import Tone, tone_controls


@dataclass(frozen=True)
class Guidance:
    """What steers a fusion.

    Attributes:
        prompt: sentence in the caption's place.
        seed: of the extractor's noise.
        timesteps: other noise levels than the pipeline's, as many.
        tone: see `ldfusion.fusion.tone`.
    """

    prompt: str | None = None
    seed: int = 0
    timesteps: Sequence[int] | None = None
    tone: Tone = "natural"


class GuidedFrames:
    """Frames of one video, fused by a sentence that may change, steady where the sources are.

    The noise of the extractor is the same for all frames of one size, so that an image that does not change gives a
    result that does not change.

    Args:
        fuser: of the pipeline.
        guidance: its seed, timesteps and tone.
        feature: of the sentence, (1, D); see `follow`.
    """

    def __init__(self, fuser: Fuser, guidance: Guidance, feature: Tensor | None = None) -> None:
        self.fuser, self.guidance, self.feature = fuser, guidance, feature
        self.steady = SteadyFrames()
        self._noise: Tensor | None = None

    def follow(self, feature: Tensor, time: float = 0.0) -> None:
        """The next frame is shown at ``time`` seconds and fused under this sentence feature (1, D)."""
        self.feature = feature
        self.steady.at(time)

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """The next frame: (1, 3, H, W) and (1, 1, H, W) in [0, 1] -> (1, 3, H, W) in [0, 1]."""
        shape, steady = self.fuser.working_shape(*visible.shape[-2:]), self.steady
        if self._noise is None or self._noise.shape[-2:] != shape or self._noise.device != visible.device:
            self._noise = pipeline_noise((1, *shape), self.guidance.seed, None, visible.device)
        tone = tone_controls(self.guidance.tone).to(visible.device)
        text, timesteps = self.feature, self.guidance.timesteps
        fused = self.fuser.fuse(visible, infrared, text, self._noise, timesteps, tone, steady.token, steady.grid)
        return steady.picture(fused, visible, infrared)


@runtime_checkable
class GuidedMethod(Protocol):
    """A fusion method that is guided by a sentence, which can be held over the frames of a video."""

    guidance: Guidance

    def sentence(self, visible: Tensor, infrared: Tensor) -> tuple[str, Tensor]:
        """The sentence of one pair (1, 3, H, W), (1, 1, H, W), and its feature (1, D)."""
        ...

    def guide(self, text: str | None = None) -> GuidedFrames:
        """Frames of a video, from now on under ``text``, or under what `GuidedFrames.follow` says."""
        ...


class VideoFrames(Protocol):
    """What a method holds from one frame of a video to the next."""

    def fuse(self, visible: Tensor, infrared: Tensor, time: float) -> Tensor:
        """The next frame, shown at ``time`` seconds: (1, 3, H, W) and (1, 1, H, W) in [0, 1] -> (1, 3, H, W)."""
        ...


@runtime_checkable
class SteadyMethod(FusionMethod, Protocol):
    """A fusion method that keeps the frames of a video steady by itself, without a sentence."""

    def frames(self) -> VideoFrames:
        """Frames of one video, in order of time."""
        ...
