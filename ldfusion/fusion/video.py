"""Fusing a video frame by frame, so that the result is as steady as its sources.

A fusion method sees single frames. What would make their results differ without a reason is held: the transform of the
cameras (`ldfusion.registration.temporal`), and for the guided pipeline the noise, the coefficients
(`ldfusion.fusion.steady`) and the sentence, which is looked for again every few seconds and then taken up gradually.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.fusion.base import FusionMethod
from ldfusion.fusion.guidance import GuidedFrames, GuidedMethod, SteadyMethod, VideoFrames
from ldfusion.io.size import match_infrared
from ldfusion.io.video_pair import FramePair, PairedVideo
from ldfusion.io.video_writer import VideoWriter
from ldfusion.overlap import Behind, Profile, ahead
from ldfusion.registration.align import feather, place
from ldfusion.registration.temporal import ClipRegistration

PRIMING = 5
"""Frames from all over a clip that its registration starts from."""
SENTENCE_EVERY = 10.0
"""Seconds of video between two captions."""
_TAKEN_UP = 1.0  # time constant in seconds with which a new sentence takes effect


@dataclass(frozen=True)
class FusedFrame:
    """One frame of the result, all on the visible grid.

    Attributes:
        time: seconds since the first pair.
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1], registered or resized; where it has no data the visible luma.
        fused: (1, 3, H, W) in [0, 1].
    """

    time: float
    visible: Tensor
    infrared: Tensor
    fused: Tensor

    def picture(self, side_by_side: bool = False) -> NDArray[np.uint8]:
        """The fused frame as (H, W, 3) uint8; with visible and infrared on its left (H, 3 W, 3)."""
        parts = [self.visible, self.infrared.expand(-1, 3, -1, -1), self.fused] if side_by_side else [self.fused]
        joined = torch.cat(parts, dim=-1)[0].permute(1, 2, 0)
        pixels: NDArray[np.uint8] = joined.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return pixels


@dataclass
class VideoFuser:
    """Fuses the pairs of a video; call it with pairs in order of time.

    Attributes:
        method: the fusion method.
        registration: of the clip; without one the infrared is resized.
        device: where to compute.
        sentences: (time, sentence) of every caption so far, of a method that is guided by one.
        frames: what such a method holds for this video.
        kept: what a method that is steady by itself holds for it.
    """

    method: FusionMethod
    registration: ClipRegistration | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sentences: list[tuple[float, str]] = field(default_factory=list, init=False)
    _target: Tensor | None = field(default=None, init=False)
    frames: GuidedFrames | None = field(default=None, init=False)
    kept: VideoFrames | None = field(default=None, init=False)
    _time: float = field(default=0.0, init=False)
    _mask: Tensor | None = field(default=None, init=False)
    _weight: Tensor | None = field(default=None, init=False)

    @torch.no_grad()
    def __call__(self, pair: FramePair) -> FusedFrame:
        """Fuse one pair."""
        visible, infrared = pair.visible.tensor().to(self.device), pair.infrared.tensor().to(self.device)
        visible = visible.expand(-1, 3, -1, -1)
        if self.registration is None:
            aligned = match_infrared(visible, infrared)
        else:
            aligned, mask = self.registration(visible, infrared, pair.time)
            aligned = aligned if mask is None else self._filled(aligned, mask, visible)
        if isinstance(self.method, GuidedMethod):
            fused = self._guided(self.method, visible, aligned, pair.time).fuse(visible, aligned)
        elif isinstance(self.method, SteadyMethod):
            self.kept = self.kept or self.method.frames()
            fused = self.kept.fuse(visible, aligned, pair.time)
        else:
            fused = self.method.fuse(visible, aligned)
        self._time = pair.time
        return FusedFrame(pair.time, visible, aligned, fused)

    def prime(self, pairs: Iterable[FramePair]) -> None:
        """Start the registration, if any, from pairs from all over the clip."""
        if self.registration is not None:
            tensors = ((pair.visible.tensor(), pair.infrared.tensor()) for pair in pairs)
            self.registration.prime((one.to(self.device), other.to(self.device)) for one, other in tensors)

    def report(self) -> dict[str, Any]:
        """What was seen and decided, for JSON."""
        found: dict[str, Any] = {}
        if self.sentences:
            found["sentences"] = [{"time": round(at, 3), "sentence": text} for at, text in self.sentences]
        if self.registration is not None:
            found["registration"] = [estimate.as_dict() for estimate in self.registration.estimates]
        return found

    def _filled(self, infrared: Tensor, mask: Tensor, visible: Tensor) -> Tensor:
        if mask is not self._mask:  # the same object as long as the transform stays
            self._mask, self._weight = mask, feather(mask).to(infrared.device)
        return place(infrared, mask, visible, self._weight)

    def _guided(self, method: GuidedMethod, visible: Tensor, infrared: Tensor, now: float) -> GuidedFrames:
        """The frames of this video, under the sentence of now."""
        self.frames = self.frames or method.guide()
        due = not self.sentences or (method.guidance.prompt is None and now >= self.sentences[-1][0] + SENTENCE_EVERY)
        if due:
            sentence, self._target = method.sentence(visible, infrared)
            self.sentences.append((now, sentence))
        target, feature = self._target, self.frames.feature
        assert target is not None
        if feature is None:
            feature = target
        elif feature is not target:
            share = 1 - math.exp(-(now - self._time) / _TAKEN_UP)
            moved = torch.lerp(feature, target, share)
            feature = moved if (moved - target).abs().max() > 1e-4 else target
        self.frames.follow(feature, now)
        return self.frames


@dataclass(frozen=True)
class Done:
    """What `fuse_video` did.

    Attributes:
        frames: how many were fused and written.
        seconds: how long that took, without what comes before the first frame.
        interrupted: it was ended by ctrl-C; the file holds the frames until then.
    """

    frames: int
    seconds: float
    interrupted: bool


def fuse_video(
    both: PairedVideo,
    fuser: VideoFuser,
    output: Path,
    start: float = 0.0,
    seconds: float | None = None,
    side_by_side: bool = False,
    watch: Callable[[Iterable[FramePair]], Iterable[FramePair]] = iter,
    visit: Callable[[FusedFrame], object] | None = None,
    conclude: Callable[[Done], object] | None = None,
    profile: Profile | None = None,
) -> Done:
    """Fuse two videos into a third; memory does not grow with their length.

    Frames are decoded by one thread and encoded by another, a few ahead and behind.

    Args:
        both: the sources.
        fuser: fuses a pair.
        output: the video to write, see `VideoWriter`; it replaces a file that is there.
        start: seconds after the first visible frame to begin at.
        seconds: how long at most.
        side_by_side: visible, infrared and fused next to each other.
        watch: wraps the pairs, for a progress bar.
        visit: called with every fused frame, to measure something.
        conclude: called in the end, before the video takes its name: what it writes is there when the video is.
        profile: gets the seconds of reading, fusing and writing.

    Raises:
        InputError: no pair at all, see `PairedVideo.pairs`.
        WorkError: the output cannot be written.
    """
    if fuser.registration is not None:
        fuser.prime(both.samples(PRIMING, start, seconds))
    writer, took = VideoWriter(output, both.visible.info.rate), profile or Profile()
    begin, interrupted = time.perf_counter(), False

    def write(frame: FusedFrame) -> None:
        with took.of("write"):
            writer.write(frame.picture(side_by_side), frame.time)

    with writer:
        try:
            with closing(ahead(took.watched("read", both.pairs(start, seconds)))) as pairs, Behind() as behind:
                for pair in watch(pairs):
                    with took.of("fuse"):
                        frame = fuser(pair)
                    behind.put(partial(write, frame))
                    if visit is not None:
                        visit(frame)
        except KeyboardInterrupt:
            if not writer.frames:
                raise
            interrupted = True
        done = Done(writer.frames, time.perf_counter() - begin, interrupted)
        writer.finish()
        if conclude is not None:
            conclude(done)
    return done
