"""Activity of VGG-19 features (Simonyan and Zisserman 2015), with torchvision's ImageNet weights where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.errors import InputError
from ldfusion.weights import read_state

_CONFIGURATION = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256)  # as far as relu3_4


def vgg19_cache() -> Path:
    """Where torchvision keeps its VGG-19 weights once somebody has downloaded them."""
    from torchvision.models import VGG19_Weights

    return Path(torch.hub.get_dir()) / "checkpoints" / VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[2]


def find_vgg19(given: str | Path = "", required: bool = True) -> Path | None:
    """File of the VGG-19 weights: the given one, else torchvision's in torch's cache. Nothing is downloaded.

    Raises:
        InputError: there is none, and it is required.
    """
    file = Path(given) if str(given) else vgg19_cache()
    if file.is_file():
        return file
    if required:
        raise InputError(
            f"VGG-19 weights: no file {file}; download torchvision's vgg19 weights there "
            "(python -c 'import torchvision; torchvision.models.vgg19(weights=\"DEFAULT\")'), or use the activity "
            "'contrast', which needs none"
        )
    return None


class VGGActivity(nn.Module):
    """L1 norm over the channels of some layers of VGG-19, at the size of the input.

    The input is taken as it is, without ImageNet's mean and deviation, repeated to three channels, as in the
    zero-learning fusion code.

    Args:
        file: torchvision's state dict, ``.pth`` (loaded without unpickling objects) or ``.safetensors``; only its first
            convolutions are read.
        layers: indices into torchvision's ``vgg19().features``, of ReLU layers up to 17.

    Attributes:
        stride: of the deepest layer in pixels.

    Raises:
        InputError: the file holds something else.
    """

    def __init__(self, file: Path, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        modules: list[nn.Module] = []
        channels = 3
        for entry in _CONFIGURATION:
            if isinstance(entry, int):
                modules += [nn.Conv2d(channels, entry, 3, padding=1), nn.ReLU()]
                channels = entry
            else:
                modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules[: max(self.layers) + 1])
        if any(not isinstance(self.features[layer], nn.ReLU) for layer in self.layers):
            raise ValueError(f"layers must be ReLU layers of VGG-19, got {self.layers}")
        state = read_state(file)
        own = self.features.state_dict()
        found = {key: state.get(f"features.{key}") for key in own}
        if any(value is None or value.shape != own[key].shape for key, value in found.items()):
            raise InputError(f"{file} does not hold the features of torchvision's VGG-19")
        self.features.load_state_dict({key: value.float() for key, value in found.items() if value is not None})
        self.requires_grad_(False)
        self.stride = 2 ** sum(isinstance(module, nn.MaxPool2d) for module in self.features)

    def forward(self, grey: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, layers, H, W), >= 0."""
        size = grey.shape[-2:]
        taken, x = [], grey.expand(-1, 3, -1, -1)
        for index, module in enumerate(self.features):
            x = module(x)
            if index in self.layers:
                norm = x.sum(1, keepdim=True)  # of values >= 0
                taken.append(_enlarge(norm, size))
        return torch.cat(taken, dim=1)


def _enlarge(values: Tensor, size: torch.Size) -> Tensor:
    """Each value over the pixels that it was pooled from; what pooling left over at the border repeats the last."""
    height, width = size
    stride = height // values.shape[-2]
    if stride > 1:
        values = values.repeat_interleave(stride, -2).repeat_interleave(stride, -1)
    missing = (0, width - values.shape[-1], 0, height - values.shape[-2])
    return F.pad(values, missing, mode="replicate") if any(missing) else values
