"""What can be chosen by name: fusion methods, registration methods, training stages, each one row.

Nothing is imported before a name is asked for, so that ``--help`` answers at once. What is not in a list is given as
``module:Class`` from wherever Python finds it; it needs no change of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ldfusion.config import check_arguments, nearest
from ldfusion.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One choice.

    Attributes:
        where: ``module:what makes it``; the keyword arguments of that are its options.
        help: what it is, in a few words.
        options: those of its options that the command line has a word of its own for.
        describes: a fusion method that also returns depth and a caption.
    """

    where: str
    help: str = ""
    options: tuple[str, ...] = ()
    describes: bool = False


FUSION: dict[str, Entry] = {
    "ldfusion": Entry(
        "ldfusion.pipeline:load_pipeline",
        "the guided pipeline",
        ("weights", "prompt", "seed", "timesteps", "tone"),
        describes=True,
    ),
    "zero-learning": Entry(
        "ldfusion.fusion.zero_learning:ZeroLearningFusion", "saliency and VGG features", ("weights", "alpha")
    ),
    "alpha": Entry("ldfusion.fusion.methods:AlphaFusion", "an overlay", ("alpha",)),
    "laplacian": Entry("ldfusion.fusion.methods:LaplacianFusion", "pyramids"),
    "mean": Entry("ldfusion.fusion.methods:MeanFusion", "half of each"),
    "maximum": Entry("ldfusion.fusion.methods:MaximumFusion", "the brighter of both"),
    "maximum-stretched": Entry("ldfusion.fusion.methods:load_stretched_maximum", "the same, to the full range"),
    "seafusion": Entry("ldfusion.fusion.methods:load_seafusion", "the GRDB network", ("weights",)),
    "realtime": Entry(
        "ldfusion.fusion.runtimes:load_realtime",
        "a small network for cameras, which the pipeline has taught",
        ("weights", "prompt", "tone", "runtime"),
    ),
    "realtime-tiny": Entry(
        "ldfusion.fusion.runtimes:load_tiny", "the same, faster and coarser", ("weights", "prompt", "tone", "runtime")
    ),
    "edges": Entry(
        "ldfusion.fusion.edges:EdgeOverlay",
        "visible detail drawn over the infrared colours, which go on standing for temperatures",
    ),
}

REGISTRATION: dict[str, Entry] = {
    "auto": Entry("ldfusion.registration.refine:RefineRegistrar", "the robust default", ("weights", "model", "device")),
    "refine": Entry(
        "ldfusion.registration.refine:RefineRegistrar",
        "learned descriptors, robust fit: what auto is",
        ("weights", "model", "device"),
    ),
    "orientation": Entry(
        "ldfusion.registration.orientation:OrientationRegistrar",
        "edge directions alone, climbed from few starts",
        ("model", "device"),
    ),
    "edges": Entry(
        "ldfusion.registration.polish:EdgeRegistrar", "the same, searched at all shifts", ("model", "device")
    ),
    "affine": Entry(
        "ldfusion.registration.affine:AffineRegistrar", "the papers' network", ("weights", "masks", "device")
    ),
    "voxelmorph": Entry(
        "ldfusion.registration.voxelmorph:VoxelMorphRegistrar",
        "the papers' network",
        ("weights", "masks", "device"),
    ),
    "identity": Entry("ldfusion.registration.methods:IdentityRegistrar", "resize"),
}

STAGES: dict[str, Entry] = {
    "denoiser": Entry("ldfusion.training.stages.denoiser:DenoiserStage"),
    "depth-visible": Entry("ldfusion.training.stages.depth:VisibleDepthStage"),
    "depth-infrared": Entry("ldfusion.training.stages.depth:InfraredDepthStage"),
    "captioner": Entry("ldfusion.training.stages.captioner:CaptionerStage"),
    "detector": Entry("ldfusion.training.stages.detector:DetectorStage"),
    "text": Entry("ldfusion.training.stages.text:TextStage"),
    "fusion": Entry("ldfusion.training.stages.fusion:FusionStage"),
    "registration": Entry("ldfusion.training.stages.registration:RegistrationStage"),
    "segmentation": Entry("ldfusion.training.stages.segmentation:SegmentationStage"),
    "seafusion": Entry("ldfusion.training.stages.seafusion:SeAFusionStage"),
    "matching": Entry("ldfusion.training.stages.matching:MatchingStage"),
    "realtime": Entry("ldfusion.training.stages.realtime:RealtimeStage"),
}


def find(name: str, entries: Mapping[str, Entry], what: str) -> Entry:
    """The row of that name, or one made up for a ``module:Class``.

    Raises:
        InputError: no such row.
    """
    if name in entries:
        return entries[name]
    if ":" in name:
        return Entry(name)
    raise InputError(f"{what}: unknown '{name}'; {nearest(name, entries)}")


def maker(name: str, entries: Mapping[str, Entry], what: str) -> Callable[..., Any]:
    """What makes the choice of that name.

    Raises:
        InputError: no such row, or a ``module:Class`` that cannot be imported.
    """
    module, _, attribute = find(name, entries, what).where.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if name in entries:
            raise
        raise InputError(f"{what} '{name}': {error}; write it as module:Class of a module Python finds") from error
    return found


def make(name: str, entries: Mapping[str, Entry], what: str, options: Mapping[str, Any]) -> Any:
    """The choice of that name with its options; one that is None stays at its default.

    Raises:
        InputError: no such row, an unknown option, or what the choice itself raises.
    """
    given = {key: value for key, value in options.items() if value is not None}
    function = maker(name, entries, what)
    check_arguments(function, given, f"{what} '{name}'")
    return function(**given)


def choices(entries: Mapping[str, Entry]) -> str:
    """All rows in words, for ``--help``."""
    return "; ".join(f"{name}, {entry.help}" for name, entry in entries.items() if entry.help)
