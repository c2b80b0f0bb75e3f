"""Video end to end on clips whose registration is known: files in, files out.

The infrared of a registered clip is shifted and scaled by a known amount and written to a file of its own. That file
and the visible one go through what ``ldfusion video --register`` does. Measured: the mean distance of the four infrared
corners from where they belong, at the end of the clip and the worst on the way; frames a second; flicker; peak memory.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ldfusion.benchmarks.base import add_data
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.evaluation.report import markdown
from ldfusion.evaluation.stability import Stability, StabilityMeter
from ldfusion.evaluation.tasks.scores import TaskScores, TaskTable
from ldfusion.fusion.base import FusionMethod, ImageMethod
from ldfusion.fusion.guidance import Guidance
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.video import FusedFrame, VideoFuser, fuse_video
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import PairedVideo
from ldfusion.io.video_writer import VideoWriter
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration.edges import edge_agreement
from ldfusion.registration.methods import Registrar, load_registrar
from ldfusion.registration.temporal import ClipRegistration
from ldfusion.registration.votes import matrix_of
from ldfusion.registration.warp import Matrix, Size, invert, resize_matrix, valid_mask, warp_image

SCALE, SHIFT = 0.9, (24.0, -14.0)
"""The known misalignment: size of the infrared picture in the visible one, and where its centre lies from the centre of
that, in pixels (x, y) of a frame of 640 x 480. The infrared camera sees less, so that it has no borders to tell."""


_NUMBERS = (
    f"The infrared is scaled by 1/{SCALE:g} and shifted by {SHIFT} px; errors are mean distances of its corners from "
    "the truth. Edges: how far those of both videos agree, 0 to 1. Change and flicker (change of the fused video less "
    "that of its sources): grey levels on static areas."
)


@dataclass(frozen=True)
class VideoRow:
    """One clip fused by one method.

    Attributes:
        clip, method: names.
        frames: fused.
        before: error in pixels of the visible frame without registration.
        error: error of the transform at the end; NaN where no frame could be registered.
        worst: largest error of the transform that a frame was warped by.
        registered: frames that were registered singly.
        rate: frames a second, wall clock, registration of single frames included.
        cpu: processor seconds a frame, of all threads.
        stability: see `Stability`.
        edges: `edge_agreement` under the truth and under the transform at the end, means over five frames. The truth of
            a real clip is as good as its own registration was: where the second value is larger, it was not exact.
        peak: largest memory of this process so far, MiB.
    """

    clip: str
    method: str
    frames: int
    before: float
    error: float
    worst: float
    registered: int
    rate: float
    cpu: float
    stability: Stability
    edges: tuple[float, float]
    peak: float


class FrameByFrame(ImageMethod):
    """The pipeline without what `VideoFuser` holds: a caption and noise of its own for every frame, for comparison."""

    name = "ldfusion-frame-by-frame"

    def __init__(self, pipe: LDFusionPipeline) -> None:
        super().__init__()
        self.pipe, self.seed = pipe, 0

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        self.seed += 1
        return self.pipe.guided_by(Guidance(seed=self.seed)).fuse(visible, infrared)


def load_methods(names: Sequence[str]) -> list[FusionMethod]:
    """Fusion methods by name, `FrameByFrame` among them.

    Raises:
        InputError: see `load_method`.
    """
    return [
        FrameByFrame(LDFusionPipeline.from_pretrained()) if name == FrameByFrame.name else load_method(name)
        for name in names
    ]


def known_matrix(size: Size) -> Matrix:
    """The misalignment of `SCALE` and `SHIFT` for frames of (height, width): infrared -> visible pixels."""
    height, width = size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    place = centre + np.array(SHIFT) * width / 640
    matrix = np.diag([SCALE, SCALE, 1.0])
    matrix[:2, 2] = place - SCALE * centre
    return matrix


def misalign(source: Path, output: Path, seconds: float, truth: Matrix) -> None:
    """Write the first ``seconds`` of a registered infrared video so that ``truth`` registers it."""
    with VideoReader(source, "infrared") as reader, VideoWriter(output, reader.info.rate) as writer:
        start = reader.info.start
        for frame in reader.frames(end=start + seconds):
            moved = warp_image(frame.tensor(), invert(truth), reader.info.size)[0, 0]
            pixels = moved.mul(255).round().to(torch.uint8).numpy()[..., None].repeat(3, -1)
            writer.write(pixels, frame.time - start)


def measure_clip(
    visible: Path,
    infrared: Path,
    truth: Matrix,
    method: FusionMethod,
    registrars: Sequence[Registrar],
    seconds: float,
    output: Path,
) -> VideoRow:
    """Register and fuse a clip as ``ldfusion video --register`` does, and keep the video.

    Args:
        visible, infrared: the files.
        truth: infrared -> visible pixels.
        method: to fuse by.
        registrars: of single frames, see `ClipRegistration`.
        seconds: how much of the clip.
        output: the video to write, visible, infrared and fused side by side.
    """
    clip, meter, errors = ClipRegistration(*registrars), StabilityMeter(), []
    measuring = [0.0, 0.0]
    with VideoReader(visible) as first, VideoReader(infrared, "infrared") as second:
        size, source = first.info.size, second.info.size

        def visit(frame: FusedFrame) -> None:
            before = _clocks()
            meter.add(frame.visible, frame.infrared, frame.fused)
            if clip.corners is not None:
                errors.append(corner_error(matrix_of(clip.corners, source), truth, source))
            for k, (now, then) in enumerate(zip(_clocks(), before, strict=True)):
                measuring[k] += now - then

        begin = _clocks()
        fuser = VideoFuser(method, clip)
        both = PairedVideo(first, second)
        done = fuse_video(both, fuser, output, seconds=seconds, side_by_side=True, visit=visit)
        wall, cpu = (now - then - own for now, then, own in zip(_clocks(), begin, measuring, strict=True))
        found = resize_matrix(source, size) if clip.corners is None else matrix_of(clip.corners, source)
        edges = _edges(both, truth, seconds), _edges(both, found, seconds)
    return VideoRow(
        visible.stem,
        method.name,
        done.frames,
        corner_error(resize_matrix(source, size), truth, source),
        errors[-1] if errors else math.nan,
        max(errors, default=math.nan),
        len(clip.estimates),
        done.frames / wall,
        cpu / done.frames,
        meter.result(),
        edges,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def measure_clips(
    root: Path, methods: Sequence[FusionMethod], registrars: Sequence[Registrar], seconds: float, output: Path
) -> list[VideoRow]:
    """`measure_clip` for every clip of ``root/m3svd_video/{visible,infrared}`` and every method.

    Args:
        output: folder of CLIP-infrared.mp4, the misaligned video, and CLIP-METHOD.mp4.

    Raises:
        InputError: there are no clips.
    """
    folder = root / "m3svd_video"
    clips = sorted((folder / "visible").glob("*.mp4"))
    if not clips:
        raise InputError(f"{folder / 'visible'}: no MP4 files; give the folder that holds m3svd_video")
    rows = []
    for visible in clips:
        with VideoReader(visible) as reader:
            truth = known_matrix(reader.info.size)
        infrared = output / f"{visible.stem}-infrared.mp4"
        misalign(folder / "infrared" / visible.name, infrared, seconds, truth)
        for method in methods:
            target = output / f"{visible.stem}-{method.name}.mp4"
            rows.append(measure_clip(visible, infrared, truth, method, registrars, seconds, target))
    return rows


def render_rows(rows: Sequence[VideoRow], seconds: float) -> str:
    """A Markdown table with what its numbers are."""
    heading = [
        "clip",
        "method",
        "frames",
        "resized [px]",
        "registered [px]",
        "worst [px]",
        "edges, truth",
        "edges, found",
    ]
    heading += ["frames registered", "frames/s", "CPU s/frame", "static", "change of sources", "flicker", "peak [MiB]"]
    cells = [heading]
    for row in rows:
        numbers = [f"{row.before:.1f}", f"{row.error:.2f}", f"{row.worst:.2f}"]
        numbers += [*(f"{value:.3f}" for value in row.edges), str(row.registered)]
        numbers += [f"{row.rate:.2f}", f"{row.cpu:.3f}", f"{row.stability.static:.0%}"]
        numbers += [f"{row.stability.sources:.2f}", f"{row.stability.flicker:+.2f}", f"{row.peak:.0f}"]
        cells.append([row.clip, row.method, str(row.frames), *numbers])
    return f"The first {seconds:g} s of each clip. {_NUMBERS}\n\n{markdown(cells)}"


def flicker_table(rows: Sequence[VideoRow], seconds: float) -> TaskTable:
    """The mean flicker of each method over the clips, as a table that others can be joined with."""
    clips = list(dict.fromkeys(row.clip for row in rows))
    table = TaskTable(protocol=f"flicker, mean of the first {seconds:g} s of {', '.join(clips)}")
    for method in dict.fromkeys(row.method for row in rows):
        found = [row.stability.flicker for row in rows if row.method == method]
        table.rows[method] = TaskScores({"flicker": float(np.mean(found))})
    return table


def _edges(both: PairedVideo, matrix: Matrix, seconds: float) -> float:
    values = []
    for pair in both.samples(5, seconds=seconds):
        visible, infrared = pair.visible.tensor(), pair.infrared.tensor()
        size, source = both.visible.info.size, both.infrared.info.size
        warped, mask = warp_image(infrared, matrix, size), valid_mask(matrix, source, size)
        values.append(edge_agreement(visible, warped, mask))
    return float(np.mean(values))


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the videos")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each clip")
    parser.add_argument("--registration", nargs="+", default=["edges", "refine"], help="methods, tried in turn")
    parser.add_argument("--methods", nargs="+", default=["laplacian", "zero-learning", "ldfusion"])


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    methods, registrars = load_methods(args.methods), [load_registrar(name) for name in args.registration]
    rows = measure_clips(args.data, methods, registrars, args.seconds, args.output)
    flicker_table(rows, args.seconds).write_json(args.output / "video.json")
    return render_rows(rows, args.seconds)
