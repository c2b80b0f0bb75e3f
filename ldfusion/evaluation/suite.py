"""Evaluation of fused images: whole folders of one or several methods, or tensors in memory.

Everything is measured on the 8-bit BT.601 luma of what a viewer would see, or on its 8-bit colours, whatever its
source, so that a tensor in memory scores the same as the file it is written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ldfusion.errors import InputError, LDFusionError
from ldfusion.evaluation._luma import to_codes
from ldfusion.evaluation._threads import over_images
from ldfusion.evaluation.conventions import get_convention
from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.evaluation.table import EvaluationTable
from ldfusion.io.color import luma
from ldfusion.io.files import images_by_stem, some
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.io.pairing import NamedPair, match_pairs
from ldfusion.io.size import match_infrared
from ldfusion.jobs import share, together


def evaluate_pairs(
    fused: Mapping[str, Path],
    visible: Path,
    infrared: Path,
    metrics: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    convention: str = "plain",
    shared: bool = False,
) -> EvaluationTable:
    """Evaluate the fused images of one or several methods against their sources.

    Images belong together by their stem. A pair that cannot be read, the pairs that a method has not fused, and fused
    images of no pair become lines in `problems` of the table and are left out of the means; the others are evaluated.

    Args:
        fused: method name -> folder of fused images (or one file, when `visible` and `infrared` are files).
        visible: folder of visible images, or one file.
        infrared: folder of infrared images, or one file; resized to the visible image where the sizes differ.
        metrics: columns, names of the convention; None for its default ones, ``["all"]`` for all of them.
        device: where to compute.
        convention: whose definitions, a name of `ldfusion.evaluation.conventions`.
        shared: every process of a launcher calls this: each measures its share, and all get the whole table.

    Raises:
        InputError: an unknown metric or convention, a missing or empty folder, no matching names, or nothing that could
            be evaluated at all.
    """
    get_convention(convention).select(metrics)  # a wrong name is told before any folder is listed
    pairs = match_pairs(visible, infrared)
    files = {method: _fused_files(folder, pairs[0][0]) for method, folder in fused.items()}
    names = {name for name, _, _ in pairs}
    extra = {method: sorted(found.keys() - names) for method, found in files.items()}
    left = [f"{fused[m]}: no pair of sources for {some(stems)}; left out" for m, stems in extra.items() if stems]
    return evaluate_files(files, pairs, metrics, device, convention, fused, [*pairs.report(), *left], shared)


def evaluate_files(
    fused: Mapping[str, Mapping[str, Path]],
    pairs: Sequence[NamedPair],
    metrics: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    convention: str = "plain",
    places: Mapping[str, object] | None = None,
    problems: Iterable[str] = (),
    shared: bool = False,
) -> EvaluationTable:
    """`evaluate_pairs` of files from anywhere, under names of the caller's choice.

    Args:
        fused: method name -> name of a pair -> its fused image; pairs may be missing.
        pairs: (name, visible file, infrared file) each.
        places: what a message calls the images of a method; the method's name by default.
        problems: lines that go before those found here.

    Raises:
        InputError: as `evaluate_pairs`.
    """
    rules = get_convention(convention)
    table = EvaluationTable.empty(rules, rules.select(metrics), fused, problems)
    for method, found in fused.items():
        missing = [name for name, _, _ in pairs if name not in found]
        if missing:
            table.problems.append(f"{(places or {}).get(method, method)}: no fused image for {some(missing)}")

    def work(pair: NamedPair) -> _Measured:
        name, visible_file, infrared_file = pair
        present = {method: found[name] for method, found in fused.items() if name in found}
        if not present:
            return _Measured()
        try:
            sources = _read_sources(visible_file, infrared_file, device)
        except LDFusionError as error:
            return _Measured(problems=[str(error)])
        images: dict[str, _Codes] = {}
        problems: list[str] = []
        for method, file in present.items():
            try:
                images[method] = _read_fused(file, visible_file, sources[0])
            except LDFusionError as error:
                problems.append(str(error))
        return _measure(table, images, sources, problems)

    own = share(pairs) if shared else pairs
    values = over_images(work, own, parallel=torch.device(device).type == "cpu")
    of_pairs = {name: measured for (name, _, _), measured in zip(own, values, strict=True)}
    if shared:
        of_pairs = {name: measured for part in together([of_pairs]) for name, measured in part.items()}
    for name, _, _ in pairs:
        of_pairs[name].enter(table, name)
    if not any(scores.rows for scores in table.methods.values()):
        raise InputError(f"nothing could be evaluated: {'; '.join(table.problems[:2])}")
    return table


def evaluate_tensors(
    fused: Mapping[str, Iterable[Tensor]],
    visible: Sequence[Tensor],
    infrared: Sequence[Tensor],
    names: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    convention: str = "plain",
) -> EvaluationTable:
    """Evaluate images in memory as if they had been written as 8-bit files.

    Args:
        fused: method name -> its images in the order of the sources; each (3, H, W) or (1, H, W) in [0, 1].
            A generator does, one image is held at a time.
        visible: (3, H, W) or (1, H, W) in [0, 1] each.
        infrared: (1, H, W) in [0, 1] each, of the visible image's size.
        names: image names, their numbers by default.
        metrics: columns, names of the convention; None for its default ones, ``["all"]`` for all of them.
        convention: whose definitions, a name of `ldfusion.evaluation.conventions`.

    Raises:
        InputError: an unknown metric or convention.
        ValueError: counts or sizes that differ.
    """
    rules = get_convention(convention)
    names = [str(number) for number in range(len(visible))] if names is None else names
    table = EvaluationTable.empty(rules, rules.select(metrics), fused)
    for name, first, second, *images in zip(names, visible, infrared, *fused.values(), strict=True):
        codes = {method: _Codes.of(image) for method, image in zip(fused, images, strict=True)}
        _measure(table, codes, (_Codes.of(first), _Codes.of(second))).enter(table, name)
    return table


@dataclass(frozen=True)
class _Codes:
    """One image as 8-bit codes: luma (1, 1, H, W) float32 and colours (1, 3, H, W) uint8."""

    luma: Tensor
    colours: Tensor

    @classmethod
    def of(cls, image: Tensor) -> _Codes:
        """Of (3, H, W) or (1, H, W) in [0, 1]."""
        return cls(luma_codes(image), to_codes(image * 255).to(torch.uint8).expand(3, -1, -1).unsqueeze(0))


@dataclass
class _Measured:
    """What was found out about one pair, to be entered into the table in the order of the pairs."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    """method -> metric -> value"""
    size: tuple[int, int] = (0, 0)
    problems: list[str] = field(default_factory=list)

    def enter(self, table: EvaluationTable, name: str) -> None:
        table.problems += self.problems
        for method, values in self.values.items():
            table.add(method, name, values, self.size)


def _measure(
    table: EvaluationTable, images: Mapping[str, _Codes], sources: tuple[_Codes, _Codes], problems: Iterable[str] = ()
) -> _Measured:
    """The images of all methods of one pair: together, so that what concerns the sources is computed once."""
    visible, infrared = sources
    measured = _Measured({}, (visible.luma.shape[-2], visible.luma.shape[-1]), list(problems))
    if images:
        fused = torch.cat([image.luma for image in images.values()])
        colours = torch.cat([image.colours for image in images.values()]), visible.colours
        values = compute_metrics(fused, visible.luma, infrared.luma, table.metrics, table.measures, colours)
        for number, method in enumerate(images):
            measured.values[method] = {metric: value[number].item() for metric, value in values.items()}
    return measured


def luma_codes(image: Tensor) -> Tensor:
    """8-bit luma of one (3, H, W) or (1, H, W) image in [0, 1]: (1, 1, H, W) float32, integers 0..255.

    Colours are rounded to 8 bits per channel first, as a file would hold them.
    """
    codes = to_codes(image * 255).float()
    return (to_codes(luma(codes)).float() if image.shape[0] == 3 else codes).unsqueeze(0)


def _fused_files(path: Path, name: str) -> dict[str, Path]:
    return {name: path} if path.is_file() else images_by_stem(path)


def _read_sources(visible_file: Path, infrared_file: Path, device: str | torch.device) -> tuple[_Codes, _Codes]:
    visible = read_visible(visible_file)[0].to(device)
    infrared = match_infrared(visible[None], read_infrared(infrared_file)[None].to(device), infrared_file.name)[0]
    return _Codes.of(visible), _Codes.of(infrared)


def _read_fused(file: Path, visible_file: Path, visible: _Codes) -> _Codes:
    """A fused image of the visible image's size, on its device; InputError otherwise."""
    image = _Codes.of(read_visible(file)[0].to(visible.luma.device))
    if image.luma.shape != visible.luma.shape:
        (height, width), (wanted_height, wanted_width) = image.luma.shape[-2:], visible.luma.shape[-2:]
        raise InputError(
            f"{file}: {width}x{height}, but {visible_file} is {wanted_width}x{wanted_height};"
            " a fused image has the visible image's size"
        )
    return image
