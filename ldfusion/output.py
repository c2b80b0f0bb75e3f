"""`FusionOutput`, what a fusion method returns, and the one way to write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from diffusers.utils import BaseOutput
from torch import Tensor

from depth.estimator import enlarge
from depth.files import depth_files, write_depth
from depth.preview import colorize_depth
from ldfusion.errors import InputError
from ldfusion.io.degrees import with_scale
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.io.image import write_png
from ldfusion.io.preview import Picture, panel, shrunk
from ldfusion.io.records import RecordLog
from ldfusion.io.thermal import Limits
from ldfusion.jobs import write_outputs
from ldfusion.types import Registration

CAPTIONS = "captions.jsonl"


@dataclass
class FusionOutput(BaseOutput):
    """What a fusion method returns for a batch of B pairs of size (H, W), the visible image's.

    With ``output_type="pt"`` maps are tensors as given here, with ``"np"`` arrays with the channels last
    (B, H, W, C), with ``"pil"`` lists of B pictures (fused: RGB; depth: 16-bit grey, scaled to its own range).
    What a method does not make is None; `LDFusionPipeline` makes all.

    Attributes:
        fused: colour image (B, 3, H, W) in [0, 1].
        depth: relative inverse depth of the fused image (B, 1, H, W), >= 0, near = large, unknown scale and shift.
        depth_visible: the visible image's, by the visible estimator.
        depth_infrared: the infrared image's, by the infrared estimator.
        caption: B sentences: what is where and how far, as the captioner sees it.
        prompt: B sentences that guided the fusion: the given prompt, or the caption.
        facts: B dictionaries of the captioner's beliefs behind the caption.
        registration: how each of the B infrared images was brought onto the visible one; None: it was resized.
        method: name of the method.
        settings: what it was told, in plain JSON types.
        sources: small copies of both images of each pair, (3, h, w) and (1, h, w), for panels.
        metric: the depth is 1 / metres.
        limits: of each pair degrees C at black and white of its infrared image; None where they are unknown.
        exif: of each pair, when, where and with what it was taken, as an EXIF block for the fused image.
    """

    fused: Any
    depth: Any = None
    depth_visible: Any = None
    depth_infrared: Any = None
    caption: list[str] | None = None
    prompt: list[str] | None = None
    facts: list[dict[str, Any]] | None = None
    registration: list[Registration | None] | None = None
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    sources: list[tuple[Tensor, Tensor]] | None = None
    metric: bool = False
    limits: list[Limits | None] | None = None
    exif: list[bytes] | None = None

    def save(self, folder: str | Path, *names: str) -> list[Path]:
        """Write every pair as ``ldfusion fuse`` does, in place of what is there: images, panels, ``captions.jsonl``.

        Args:
            folder: made if it is not there.
            names: one for each pair.

        Returns:
            The images and panels.

        Raises:
            InputError: names for another number of pairs, maps that are no tensors, or an unusable folder.
            WorkError: something cannot be written.
        """
        if not isinstance(self.fused, Tensor) or len(names) != len(self.fused):
            raise InputError(f"save: {len(names)} names; give one for each pair of an output with output_type='pt'")
        root = check_output_folder(folder)
        log = RecordLog(root / CAPTIONS)
        written = []
        for index, name in enumerate(names):
            files = result_files(name, self.depth is not None)
            write_outputs(root, name, files, partial(self.write, name=name, index=index), overwrite=True)
            log.add(self.record(name, index))
            written += [root / file for file in files]
        log.merge()
        return written

    def write(self, folder: Path, name: str, index: int = 0) -> None:
        """Write the `result_files` of one pair below a folder."""
        fused: Tensor = self.fused[index]
        write_png(folder / "fused" / f"{name}.png", fused, self.exif[index] if self.exif else b"")
        if self.depth is not None:
            whole = enlarge(self.depth[index : index + 1], *fused.shape[-2:])
            write_depth(folder / "depth", name, whole, self.metric)
        with atomic_write(folder / "panels" / f"{name}.png") as temporary:
            panel(*self._panel(index)).save(temporary)

    def record(self, name: str, index: int = 0) -> dict[str, Any]:
        """The line of one pair in ``captions.jsonl``."""
        found: dict[str, Any] = {"name": name, "method": self.method}
        for key in ("caption", "prompt"):
            values = getattr(self, key)
            if values is not None:
                found[key] = values[index]
        registration = self.registration[index] if self.registration else None
        known = {} if registration is None else {"registered": registration.trusted}
        return found | self.settings | known

    def _panel(self, index: int) -> tuple[list[Picture], list[str], str]:
        """Pictures, their titles and the sentence below."""
        fused = shrunk(self.fused[index])
        sources: list[Picture] = list(self.sources[index]) if self.sources else []
        titles = ["visible", "infrared"] if sources else []
        limits = self.limits[index] if self.limits else None
        if sources and limits is not None:
            sources[1] = with_scale(sources[1], limits)
        if self.depth is None:
            return [*sources, fused], [*titles, f"fused: {self.method}"], ""
        small = colorize_depth(enlarge(self.depth[index : index + 1], *fused.shape[-2:])[0])
        return [*sources, small, fused], [*titles, "depth", "fused"], self.caption[index] if self.caption else ""


def result_files(name: str, described: bool) -> list[Path]:
    """The files of one pair, relative to the output folder; ``described``: with depth."""
    depth = depth_files(name, Path("depth")) if described else []
    return [Path("fused", f"{name}.png"), *depth, Path("panels", f"{name}.png")]
