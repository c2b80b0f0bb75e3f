"""Stage ``registration``: the affine and the VoxelMorph network on real registered pairs, misaligned at random.

Without supervision the loss is that of the registration papers: similarity of the warped infrared input and the visible
one, for VoxelMorph plus lambda times the roughness of the velocity. Since the misalignment is known here, the networks
may also be told where each point belongs (``supervised``), which grey values and contours of two sensors do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ldfusion.config import Experiment, check_arguments, nearest
from ldfusion.data.labels import MASK_CLASSES
from ldfusion.errors import InputError
from ldfusion.registration.affine import HEIGHT, WIDTH, AffineNetwork
from ldfusion.registration.inputs import grey, needs_masks, show
from ldfusion.registration.losses import SIMILARITIES, grid_points, point_error, project, smoothness
from ldfusion.registration.misalign import MisalignmentRange, cut_pair, draw_matrices
from ldfusion.registration.voxelmorph import VoxelMorph
from ldfusion.registration.warp import flow_points
from ldfusion.training.stages import Measured, Stage, mean_of

PERSON = MASK_CLASSES.index("person")
SMOOTHNESS = 0.6
"""Lambda of the first published VoxelMorph checkpoint; the second has 1.0."""
_UNIT = 10.0
"""Pixels of point error that count as much as a similarity of one."""
_SOFT = 0.5
"""Point errors below this many pixels are not worth a gradient of full length."""
_NETWORKS: dict[str, type[AffineNetwork] | type[VoxelMorph]] = {"affine": AffineNetwork, "voxelmorph": VoxelMorph}
_DRAWS = 2
"""Misalignments that a validation frame is measured under."""


class Windows(NamedTuple):
    """Misaligned windows (B, ., h, w) of one batch, and the truth."""

    fixed: Tensor
    moving: Tensor
    visible: Tensor
    infrared: Tensor
    backward: Tensor
    """(B, 3, 3) fixed pixels -> moving pixels."""


@dataclass
class RegistrationLoss:
    """The losses; the defaults are the papers' own training."""

    similarity: str = "mse"
    """``mse``, ``ncc`` or ``dice``."""
    unsupervised: float = 1.0
    """Weight of similarity and roughness."""
    supervised: float = 0.0
    """Weight of the error of the sampling points."""
    smooth: float = SMOOTHNESS
    """Lambda of the roughness."""

    def __post_init__(self) -> None:
        if self.similarity not in SIMILARITIES:
            raise InputError(f"loss.similarity: unknown '{self.similarity}'; {nearest(self.similarity, SIMILARITIES)}")


@dataclass
class RegistrationSample:
    """How the registered frames are misaligned."""

    strength: list[float] = field(default_factory=lambda: [1.0, 1.0])
    """Least and largest share of the misalignment."""
    misalignment: dict[str, Any] = field(default_factory=dict)
    """Fields of `MisalignmentRange`."""

    def __post_init__(self) -> None:
        check_arguments(MisalignmentRange, self.misalignment, "sample.misalignment")
        if len(self.strength) != 2:
            raise InputError(f"sample.strength={self.strength}: give two numbers, [least, largest]")


class RegistrationStage(Stage[AffineNetwork | VoxelMorph]):
    """Trains ``model.network`` (``affine`` or ``voxelmorph``; the other keys of ``model`` are its arguments).

    ``loss`` is a `RegistrationLoss`, ``sample`` a `RegistrationSample`.
    ``data.crop`` is the registered frame out of which the misaligned windows are cut, larger than those.
    """

    Loss, Sample = RegistrationLoss, RegistrationSample
    weights: RegistrationLoss
    settings: RegistrationSample
    dataset_options: dict[str, bool]
    sheet = "registration.png"

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        arguments = dict(model)
        name = str(arguments.pop("network", "affine"))
        if name not in _NETWORKS:
            raise InputError(f"model.network: unknown '{name}'; {nearest(name, _NETWORKS)}")
        check_arguments(_NETWORKS[name].__init__, arguments, "model")
        self.network = _NETWORKS[name](**arguments)
        self.kinds = tuple(self.network.config["inputs"])
        self.size = (HEIGHT, WIDTH) if name == "affine" else tuple(self.network.config["size"])
        if data.crop[0] < self.size[0] or data.crop[1] < self.size[1]:
            raise InputError(f"data.crop={list(data.crop)}: must hold the network's window {list(self.size)}")
        self.dataset_options = {"masks": needs_masks(self.kinds)}
        self.similarity = SIMILARITIES[self.weights.similarity]
        self.ranges = MisalignmentRange(**self.settings.misalignment)
        self.strength = (self.settings.strength[0], self.settings.strength[1])

    def sample(self, batch: Mapping[str, Any], seeds: Tensor) -> Windows:
        """Cut misaligned windows (B, C, h, w) out of a batch of registered frames; the seeds decide how they lie."""
        matrices = draw_matrices(seeds.tolist(), self.size, self.ranges, self.strength)
        visible, infrared = batch["visible"], batch["infrared"]
        person = None
        if self.dataset_options["masks"]:
            person = (batch["mask"] == PERSON).float()[:, None]
            visible, infrared = torch.cat([visible, person], 1), torch.cat([infrared, person], 1)
        fixed, moving, _ = cut_pair(visible, infrared, matrices, self.size)
        masks = (None, None) if person is None else (fixed[:, 3:], moving[:, 1:])
        fixed, moving = fixed[:, :3], moving[:, :1]
        backward = torch.linalg.inv(matrices).float().to(fixed.device)
        return Windows(show(fixed, self.kinds, masks[0]), show(moving, self.kinds, masks[1]), fixed, moving, backward)

    def answer(self, network: nn.Module, sample: Windows) -> tuple[Tensor, Tensor, Tensor]:
        """The warped moving input, the error of the sampling points [pixels] (B,), and the roughness (B,)."""
        answer = network(sample.moving, sample.fixed)
        warped = self._warp(sample.moving, answer)
        if isinstance(self.network, AffineNetwork):
            points = grid_points(self.size, 5, answer.device)
            predicted = project(self.network.backward_matrices(answer), points)
            error = point_error(predicted, project(sample.backward, points), soft=_SOFT)
            return warped, error, torch.zeros_like(error)
        height, width = self.size
        points = flow_points(torch.zeros(2, height, width, device=answer.flow.device))[::4, ::4].reshape(-1, 2)
        predicted = flow_points(answer.flow)[:, ::4, ::4].reshape(len(warped), -1, 2)
        true = project(sample.backward, points)
        limit = torch.tensor([width - 1, height - 1], device=true.device)
        seen = ((true >= 0) & (true <= limit)).all(-1)  # elsewhere there is nothing to be found
        return warped, point_error(predicted, true, seen, soft=_SOFT), smoothness(answer.velocity)

    def _warp(self, image: Tensor, answer: Any) -> Tensor:
        network: Any = self.network
        affine = isinstance(network, AffineNetwork)
        warped: Tensor = network.warp(image, answer)[0] if affine else network.warp(image, answer.flow)
        return warped

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Similarity of the warped input (B, C, h, w), error of the sampling points [pixels], and roughness."""
        sample = self.sample(batch, batch["seed"])
        warped, error, roughness = self.answer(network, sample)
        similarity = self.similarity(warped, sample.fixed).mean()
        losses = {"similarity": similarity, "error_px": error.mean(), "roughness": roughness.mean()}
        total = (
            self.weights.unsupervised * (similarity + self.weights.smooth * losses["roughness"])
            + self.weights.supervised * losses["error_px"] / _UNIT
        )
        return {"loss": total, **losses}

    def measure(self, network: AffineNetwork | VoxelMorph, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Errors before and after; and visible, infrared, infrared warped, and visible with infrared in the red channel
        before and after.
        """
        found: dict[str, list[Tensor]] = {"after": [], "before": [], "similarity": []}
        samples = [
            self.sample(batch, torch.full((len(batch["seed"]),), _DRAWS * number + draw)) for draw in range(_DRAWS)
        ]
        for sample in samples:
            warped, error, _ = self.answer(network, sample)
            found["after"].append(error)
            found["before"].append(self._error_before(sample))
            found["similarity"].append(self.similarity(warped, sample.fixed))
        values = {name: torch.cat(parts) for name, parts in found.items()}
        return Measured(values, self._row(network, samples[0]) if shown else None)

    def figures(
        self, network: AffineNetwork | VoxelMorph, found: Sequence[dict[str, Any]], folder: Path
    ) -> dict[str, float]:
        """Errors and similarity over all frames and draws."""
        errors = torch.cat([values["after"] for values in found])
        return {
            "error_px": errors.mean().item(),
            "error_median_px": errors.median().item(),
            "before_px": mean_of(values["before"] for values in found),
            "under_5px": (errors < 5).float().mean().item(),
            "under_10px": (errors < 10).float().mean().item(),
            "similarity": mean_of(values["similarity"] for values in found),
        }

    def _error_before(self, sample: Windows) -> Tensor:
        points = grid_points(self.size, 5, sample.backward.device)
        return point_error(points.expand(len(sample.backward), -1, -1), project(sample.backward, points))

    def _row(self, network: nn.Module, sample: Windows) -> Tensor:
        answer = network(sample.moving, sample.fixed)
        warped = self._warp(sample.infrared, answer)
        shade = grey(sample.visible)
        views = [sample.visible, *(x.expand(-1, 3, -1, -1) for x in (sample.infrared, warped))]
        views += [torch.cat([x, shade, shade], dim=1) for x in (sample.infrared, warped)]
        return torch.cat(views, dim=3)[0]
