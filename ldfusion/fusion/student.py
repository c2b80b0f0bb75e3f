"""The student as a fusion method: pictures of any size, frames of a video, a sentence where one is given."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.errors import InputError
from ldfusion.fusion.base import NetworkMethod
from ldfusion.fusion.guidance import VideoFrames
from ldfusion.fusion.realtime import RealtimeNetwork, compose, factors, guides_of, halve, shrink
from ldfusion.fusion.steady import SteadyFrames
from ldfusion.fusion.tone import Tone, tone_controls
from ldfusion.io.size import filter_tiled
from ldfusion.weights import component_folder, load

TILE = 512
"""Side in pixels of the tiles that a picture is made in; their memory stays small, and in the cache."""
SIZES: dict[str, dict[str, tuple[int, int]]] = {"base": {}, "tiny": {"working": (80, 112)}}
"""What is changed in the network: it was trained with working copies of many sizes, of which the tiny one is small."""
_REACH = 6  # pixels: a cell of the half size, a mean over three of them, and rounding to whole cells


@torch.no_grad()
def make_picture(
    cells: Tensor, visible: Tensor, infrared: Tensor, network: RealtimeNetwork, tile: int = TILE
) -> Tensor:
    """The picture of a coarse map, tile by tile; there are no seams.

    Args:
        cells: (B, hidden, h, w) of the whole picture.
        visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
        network: that the cells are from.
        tile: side of a tile, even.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    height, width = int(visible.shape[-2]), int(visible.shape[-1])
    half = ((height + 1) // 2, (width + 1) // 2)
    rows = torch.arange(height, dtype=torch.float32)[:, None].expand(1, 1, height, width)
    columns = torch.arange(width, dtype=torch.float32).expand(1, 1, height, width)
    whole = max(height, width) <= tile
    # between the columns first: a tile is then rows of this, and only those are made at its size
    wide = None if whole else _resized(cells, (int(cells.shape[-2]), half[1]))

    def run(visible: Tensor, infrared: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        guides = guides_of(halve(visible), halve(infrared))
        size = (int(guides.shape[-2]), int(guides.shape[-1]))
        if wide is None:
            hidden = _resized(cells, size)
        else:
            first, left = int(rows[0, 0, 0, 0]) // 2, int(columns[0, 0, 0, 0]) // 2
            hidden = _between_rows(wide[..., left : left + size[1]], first, size[0], half[0])
        return compose(factors(network.mixed(hidden, guides), guides), visible, infrared).clamp_(0, 1)

    return filter_tiled(run, [visible, infrared, rows, columns], tile, _REACH, 2)


class RealtimeFusion(NetworkMethod):
    """The student with the weights in a folder, by default those of the package.

    Args:
        weights: folder of a trained network.
        size: a key of `SIZES`.
        prompt: a sentence that moves the picture; without one there is no text encoder, and nothing to wait for.
        tone: see `ldfusion.fusion.tone`.

    Raises:
        InputError: no such weights, or a prompt or tone that cannot be used.
    """

    text: Tensor | None
    tone: Tensor

    def __init__(
        self, weights: str = "", size: str = "base", prompt: str | None = None, tone: Tone = "natural"
    ) -> None:
        super().__init__()
        self.name = "realtime" if size == "base" else f"realtime-{size}"
        if size not in SIZES:
            raise InputError(f"size: unknown '{size}'; known: {', '.join(SIZES)}")
        self.folder = component_folder("realtime", weights)
        self.network = load(RealtimeNetwork, "realtime", weights, **SIZES[size])
        self.network.requires_grad_(False).to(memory_format=torch.channels_last)
        self.register_buffer("tone", tone_controls(tone))
        self.register_buffer("text", None if prompt is None else _feature(prompt))
        told = {"prompt": prompt, "tone": tone}
        self.options = {key: value for key, value in told.items() if value not in (None, "natural")}

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        return make_picture(self.cells(visible, infrared), visible, infrared, self.network)

    def frames(self) -> RealtimeFrames:
        """Frames of one video."""
        return RealtimeFrames(self)

    def cells(
        self,
        visible: Tensor,
        infrared: Tensor,
        steady: Callable[[Tensor], Tensor] | None = None,
        settle: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The coarse map of pairs.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            steady: see `RealtimeNetwork.cell_map`.
            settle: called with the map (B, 1, hidden, 1, h, w) and the working copy; what it returns is taken.
        """
        colour, warm = (shrink(halve(x), self.network.working) for x in (visible, infrared))
        stack = torch.cat([colour, warm], dim=1) * 2 - 1
        text = None if self.text is None else self.text.expand(len(stack), -1)
        cells = self.network.cell_map(stack, text, self.tone, steady)
        return cells if settle is None else settle(cells[:, None, :, None], stack)[:, 0, :, 0]


class RealtimeFrames(VideoFrames):
    """Frames of one video, as steady as its sources; see `ldfusion.fusion.steady`."""

    def __init__(self, method: RealtimeFusion) -> None:
        self.method, self.steady = method, SteadyFrames()

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor, time: float) -> Tensor:
        """See `VideoFrames`."""
        steady = self.steady
        steady.at(time)
        cells = self.method.cells(visible, infrared, steady.token, steady.grid)
        fused = make_picture(cells, visible, infrared, self.method.network)
        return steady.picture(fused, visible, infrared)


def _feature(prompt: str) -> Tensor:
    """The feature of a sentence (1, D) by the embedded text encoder, with which the student was trained."""
    from ldfusion.language.text import TextEncoder
    from ldfusion.language.tokenizer import check_prompt

    encoder = TextEncoder.from_pretrained(component_folder("text_encoder")).requires_grad_(False).eval()
    return encoder.encode([check_prompt(prompt)]).float()


def _resized(cells: Tensor, size: tuple[int, int]) -> Tensor:
    last = cells.contiguous(memory_format=torch.channels_last)
    return F.interpolate(last, size=size, mode="bilinear", align_corners=False)


def _between_rows(wide: Tensor, first: int, count: int, height: int) -> Tensor:
    """Rows ``first`` to ``first + count`` of ``height`` of what `_resized` would make of cells already as wide."""
    rows = int(wide.shape[-2])
    place = ((torch.arange(first, first + count, device=wide.device) + 0.5) * (rows / height) - 0.5).clamp(0, rows - 1)
    above = place.floor().long().clamp(max=max(rows - 2, 0))
    below = (above + 1).clamp(max=rows - 1)
    share = (place - above).to(wide.dtype)[:, None]
    found = torch.lerp(wide.index_select(2, above), wide.index_select(2, below), share)
    return found.contiguous(memory_format=torch.channels_last)
