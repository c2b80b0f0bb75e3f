"""Stage ``detector``: the small detector, trained on both sensors and on mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from depth.network import STRIDE
from ldfusion.config import Experiment, check_arguments
from ldfusion.data.boxes import BOX_CLASSES, SENSORS
from ldfusion.detection.base import OwnDetector
from ldfusion.detection.losses import centre_loss, side_loss
from ldfusion.detection.network import CentreDetector
from ldfusion.detection.preview import draw_boxes
from ldfusion.detection.targets import make_targets
from ldfusion.evaluation.tasks.detection import average_precision, truth_of
from ldfusion.fusion.classical import mean_fusion
from ldfusion.io.color import luma
from ldfusion.training.stages import Measured, Stage, check_crop
from ldfusion.weights import component_folder, read_state

BOTH = sum(SENSORS.values())


@dataclass
class DetectorLoss:
    """Weights of the losses; the centres' is 1."""

    sides: float = 2.0


class DetectorStage(Stage[CentreDetector]):
    """Trains a `CentreDetector` that no fusion method is favoured by: it sees single sensors and random mixtures alike.

    ``loss`` is a `DetectorLoss`. ``model.trunk`` names the weights of a depth student of visible
    images that the trunk starts from: a folder, ``embedded``, or empty for a random start.
    """

    Loss = DetectorLoss
    weights: DetectorLoss
    dataset_options: Mapping[str, bool] = {"boxes": True}
    sheet = "boxes.png"
    every = 6

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        sizes = {key: value for key, value in model.items() if key != "trunk"}
        check_arguments(CentreDetector.__init__, sizes, "model")
        check_crop(data, STRIDE)
        self.network = CentreDetector(**sizes)
        trunk = str(model.get("trunk", ""))
        if trunk:
            start_trunk(self.network, component_folder("depth_visible", "" if trunk == "embedded" else trunk))

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Losses of the centres and of the sides of the boxes on images (B, 3, h, w) of any mixture of the sensors."""
        images, shown = show(batch["visible"], batch["infrared"], batch["seed"])
        boxes = [torch.from_numpy(array) for array in batch["boxes"]]
        targets = make_targets(boxes, shown, len(BOX_CLASSES), (images.shape[-2], images.shape[-1]))
        targets = type(targets)(*(part.to(images.device) for part in targets))
        heat, sides = network(images.contiguous(memory_format=torch.channels_last))
        losses = {
            "centres": centre_loss(heat.float(), targets).mean(),
            "sides": side_loss(sides.float(), targets).mean(),
        }
        return {"loss": losses["centres"] + self.weights.sides * losses["sides"], **losses}

    def measure(self, network: CentreDetector, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """What is found on the visible, the infrared and the mean image, and the boxes found in the mean."""
        detector = OwnDetector(network)
        mean = mean_fusion(batch["visible"], batch["infrared"])
        images = {"visible": batch["visible"], "infrared": batch["infrared"], "mean": mean}
        found = {kind: detector(image)[0] for kind, image in images.items()}
        row = draw_boxes(mean[0].cpu(), found["mean"].above(0.3)) if shown else None
        return Measured({**found, "truth": truth_of(torch.from_numpy(batch["boxes"][0]))}, row)

    def figures(self, network: CentreDetector, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Average precision on each kind of image."""
        truth = [values["truth"] for values in found]
        figures: dict[str, float] = {}
        for kind in ("visible", "infrared", "mean"):
            scores = average_precision([values[kind] for values in found], truth)
            measured = {name: scores[name] for name in ("AP50", "AP")}
            figures |= {f"{kind}/{name}": value for name, value in measured.items() if value is not None}
        return figures

    def export(self, network: CentreDetector, folder: Path) -> None:
        """In half precision."""
        network.half().save_pretrained(folder)
        network.float()


def start_trunk(network: nn.Module, folder: Path) -> int:
    """Copy every tensor of a depth student that has the same name and shape; returns how many."""
    own = network.state_dict()
    taken = {
        name: value.to(own[name].dtype)
        for file in sorted(folder.glob("*.safetensors"))
        for name, value in read_state(file).items()
        if name in own and own[name].shape == value.shape
    }
    network.load_state_dict({**own, **taken})
    return len(taken)


def show(visible: Tensor, infrared: Tensor, seeds: Tensor) -> tuple[Tensor, list[int]]:
    """What each sample shows: the visible image, the infrared one, or a mixture; and the sensors' bits.

    A quarter each of the first two; in the rest the luma is a blend with a random weight or the brighter of both, with
    the colours of the visible image at a random strength.

    Args:
        visible: (B, 3, H, W). infrared: (B, 1, H, W). seeds: (B,), decide.
    """
    images, shown = [], []
    for colour, heat, seed in zip(visible, infrared, seeds.tolist(), strict=True):
        draw = torch.rand(4, generator=torch.Generator().manual_seed(seed % 2**31)).tolist()
        if draw[0] < 0.25:
            images.append(colour)
            shown.append(SENSORS["visible"])
        elif draw[0] < 0.5:
            images.append(heat.expand(3, -1, -1))
            shown.append(SENSORS["infrared"])
        else:
            grey = luma(colour[None])[0]
            share = 0.25 + 0.5 * draw[1]
            mixed = torch.maximum(grey, heat) if draw[2] < 0.4 else share * grey + (1 - share) * heat
            images.append((mixed + draw[3] * (colour - grey)).clamp(0, 1))
            shown.append(BOTH)
    return torch.stack(images), shown
