"""One monocular depth estimator: images of any size in, inverse depth of that size out, differentiable throughout."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from depth.network import STRIDE, DepthStudent

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_ASPECT = 4
"""Long over short side up to which the network sees the true aspect; beyond, memory would grow without bound."""
MIN_METRES = 1e-2


def working_shape(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Height and width with the short side at ``short_side`` and the aspect kept, both rounded to ``multiple``."""
    scale = short_side / min(height, width)

    def fit(length: int) -> int:
        return max(1, round(min(length * scale, MAX_ASPECT * short_side) / multiple)) * multiple

    return fit(height), fit(width)


def enlarge(inverse: Tensor, height: int, width: int) -> Tensor:
    """A map ``(B, 1, h, w)`` of a network's working size at the caller's, bilinear."""
    if inverse.shape[-2:] == (height, width):
        return inverse
    return F.interpolate(inverse, (height, width), mode="bilinear", align_corners=False)


class DepthEstimator(nn.Module, ABC):
    """Inverse depth of images of any size.

    Attributes:
        metric: the model predicts metres; its output here is then 1 / metres, otherwise it is relative (unknown scale
            and shift).
        channels: number of channels the estimator takes (3, or 1 for infrared; see each class).
    """

    metric: bool = False
    channels: int

    def __init__(self, short_side: int, multiple: int) -> None:
        super().__init__()
        self.short_side = short_side
        self.multiple = multiple

    @abstractmethod
    def predict(self, images: Tensor) -> Tensor:
        """``(B, C, h, w)`` in [0, 1] at the working size to inverse depth ``(B, 1, h, w)``."""

    def forward(self, images: Tensor, full: bool = True) -> Tensor:
        """Inverse depth at the caller's size.

        Args:
            images: ``(B, C, H, W)`` in [0, 1], any size.
            full: False leaves the map at the network's working size; `enlarge` makes the same full map of it.

        Returns:
            ``(B, 1, H, W)`` >= 0, near = large; gradients flow to ``images``.
        """
        height, width = images.shape[-2:]
        inverse = self.predict(self.shrink(images))
        return enlarge(inverse, height, width) if full else inverse

    def shrink(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` at the network's working size, low-pass filtered."""
        height, width = images.shape[-2:]
        shape = working_shape(height, width, self.short_side, self.multiple)
        if shape == (height, width):
            return images
        return F.interpolate(images, shape, mode="bilinear", align_corners=False, antialias=True)


class StudentEstimator(DepthEstimator):
    """Our own ``DepthStudent``; ``channels`` is what it was trained with (3 visible, 1 infrared)."""

    def __init__(self, network: DepthStudent, short_side: int | None = None) -> None:
        super().__init__(short_side or network.config["working_size"], STRIDE)
        self.network = network
        self.channels = int(network.config["in_channels"])

    def predict(self, images: Tensor) -> Tensor:
        """Relative inverse depth (B, h, w) or (B, 1, h, w) of images, see `DepthEstimator.predict`."""
        inverse: Tensor = self.network(images)
        return inverse


class HubEstimator(DepthEstimator):
    """Any transformers depth model, with its preprocessing done in torch so that gradients reach the image.

    Images are standardised with the ImageNet mean and standard deviation; a one-channel (infrared) image is repeated to
    three. A model that predicts metres (``metric``) is inverted to 1 / metres.
    """

    channels = 3
    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, metric: bool, short_side: int = 518, multiple: int = 14) -> None:
        super().__init__(short_side, multiple)
        self.model = model
        self.metric = metric
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def predict(self, images: Tensor) -> Tensor:
        """Inverse depth (B, 1, h, w) of images (B, 3 or 1, h, w), see the base class."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        # a pipeline moves the model to a device by itself, without this estimator around it
        output = self.model(pixel_values=(images - self.mean.to(images)) / self.std.to(images)).predicted_depth
        output = output[:, None] if output.ndim == 3 else output
        return 1.0 / output.clamp_min(MIN_METRES) if self.metric else output.clamp_min(0)


def wrap_network(network: nn.Module, short_side: int | None = None) -> DepthEstimator:
    """The estimator over a network that is already there: a ``DepthStudent`` or a transformers depth model.

    Args:
        short_side: working size in pixels; None for the student's own, or 518 for a transformers model.
    """
    if isinstance(network, DepthStudent):
        return StudentEstimator(network, short_side)
    config = network.config.to_dict()  # type: ignore[union-attr, operator]
    return HubEstimator(network, _is_metric(config), short_side or 518)


def _read_config(source: str, local_files_only: bool) -> dict[str, object]:
    """The config.json of a folder or a hub id; FileNotFoundError when neither has one."""
    folder = Path(source)
    if folder.is_dir():
        path = folder / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"folder {source} has no config.json")
    else:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            path = Path(hf_hub_download(source, "config.json", local_files_only=local_files_only))
        except (OSError, HfHubHTTPError, HFValidationError) as error:
            raise FileNotFoundError(
                f"{source} is neither a folder nor a model that the Hugging Face hub or its local cache can deliver"
            ) from error
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"depth model {source}: {path} is not valid JSON") from error
    if not isinstance(config, dict):
        raise ValueError(f"depth model {source}: {path} does not hold a JSON object")
    return config


def _is_metric(config: dict[str, object]) -> bool:
    """Whether a transformers depth config predicts metres: by its stated type, else by the model families that do."""
    stated = config.get("depth_estimation_type")
    return stated == "metric" if stated is not None else config.get("model_type") in {"zoedepth", "glpn", "depth_pro"}


def load_estimator(
    source: str | Path,
    *,
    short_side: int | None = None,
    local_files_only: bool = False,
    hint: str = "give a folder with config.json and model.safetensors",
) -> DepthEstimator:
    """A frozen estimator in evaluation mode from a folder or a hub id; the kind is read from its config.json.

    Args:
        source: folder or hub id of a ``DepthStudent`` or of any ``AutoModelForDepthEstimation``.
        short_side: working size in pixels; None for the student's own, or 518 for a transformers model.
        local_files_only: never ask the network.
        hint: what the user can do when the model is missing (which flag picks what), ends the error's line.

    Raises:
        FileNotFoundError: the model is not there and cannot be downloaded.
        ValueError: config.json or the weights cannot be read, or they name no depth model.
    """
    source = str(source)
    try:
        config = _read_config(source, local_files_only)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"depth model not found: {error}; {hint}") from error
    network: nn.Module
    try:
        if config.get("_class_name") == DepthStudent.__name__:
            network = DepthStudent.from_pretrained(source, local_files_only=local_files_only, low_cpu_mem_usage=False)
        else:
            from transformers import AutoModelForDepthEstimation

            network = AutoModelForDepthEstimation.from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, local_files_only=local_files_only
            )
    except OSError as error:
        raise FileNotFoundError(
            f"depth model {source} has config.json but no readable safetensors weights; {hint}"
        ) from error
    except ValueError as error:
        raise ValueError(f"depth model {source} is no depth estimation model: {str(error).splitlines()[0]}") from error
    return wrap_network(network, short_side).requires_grad_(False).eval()
