"""What every fusion method is: a registered or unregistered pair in, a `FusionOutput` out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ldfusion.errors import InputError
from ldfusion.io.convert import from_batch, to_batch
from ldfusion.io.preview import shrunk
from ldfusion.io.size import match_infrared
from ldfusion.output import FusionOutput
from ldfusion.registration.align import align
from ldfusion.registration.methods import Registrar, load_registrar
from ldfusion.types import Images, Pair, Registration

OUTPUT_TYPES = ("pt", "np", "pil")
NAMES = ("visible", "infrared")


@runtime_checkable
class FusionMethod(Protocol):
    """What every method is; `ImageMethod` needs nothing but `fuse` to be one.

    Attributes:
        name: its key in `ldfusion.registry.FUSION`.
    """

    name: str

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Fuse aligned pairs: (B, 3, H, W) and (B, 1, H, W) in [0, 1] -> (B, 3, H, W) in [0, 1].

        All tensors are on the method's device. Without gradient, for inference.
        """
        ...

    def __call__(
        self,
        visible: Pair | Images,
        infrared: Images | None = None,
        *,
        register: bool | Registrar = False,
        output_type: str = "pt",
        full_depth: bool = True,
    ) -> FusionOutput:
        """Fuse a `Pair`, or images of the kinds that `ldfusion.io.convert.to_batch` takes.

        Args:
            visible: the pair, or the visible images.
            infrared: the infrared images; none beside a pair.
            register: bring the infrared images onto the visible ones first; True: by the robust default.
            output_type: ``pt``, ``np`` or ``pil``.
            full_depth: of a method that estimates depth, see `LDFusionPipeline`.

        Raises:
            InputError: unusable images or output type.
        """
        ...


class ImageMethod:
    """A fusion method that makes an image and nothing else.

    Attributes:
        options: what it was told, for the record of a result.
    """

    name = ""
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, Any] = {}

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(
        self,
        visible: Pair | Images,
        infrared: Images | None = None,
        *,
        register: bool | Registrar = False,
        output_type: str = "pt",
        full_depth: bool = True,
    ) -> FusionOutput:
        """See `FusionMethod`."""
        check_output_type(output_type)
        first, second, found = prepare(visible, infrared, self.device, register)
        fused = self.fuse(first, second)
        return FusionOutput(
            fused=from_batch(fused, output_type),
            method=self.name,
            settings=self.options,
            registration=found,
            sources=small_copies(first, second),
            **carried(visible),
        )


class NetworkMethod(ImageMethod, nn.Module):
    """An `ImageMethod` that is a module: it is where its parameters are."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Of the parameters; the CPU without any."""
        return next((value.device for value in self.parameters()), torch.device("cpu"))


def check_output_type(output_type: str) -> None:
    """Raise `InputError` for an unknown one."""
    if output_type not in OUTPUT_TYPES:
        raise InputError(f"output_type: unknown '{output_type}'; known: {', '.join(OUTPUT_TYPES)}")


def prepare(
    visible: Pair | Images, infrared: Images | None, device: torch.device, register: bool | Registrar = False
) -> tuple[Tensor, Tensor, list[Registration | None]]:
    """The images of a call of `FusionMethod`, checked, aligned and on the device.

    Returns:
        Visible (B, 3, H, W) and infrared (B, 1, H, W) in [0, 1], and how each pair was registered.

    Raises:
        InputError: unusable images, or not one infrared image for each visible one.
    """
    known: list[Registration | None] = []
    if isinstance(visible, Pair):
        if infrared is not None:
            raise InputError("infrared: give a pair, or a visible and an infrared image")
        known, infrared, visible = [visible.registration], visible.infrared, visible.visible
    elif infrared is None:
        raise InputError("infrared: no image given")
    first, second = to_batch(visible, 3, NAMES[0]), to_batch(infrared, 1, NAMES[1])
    if len(first) != len(second):
        raise InputError(f"{len(first)} visible but {len(second)} infrared images; give one infrared for each visible")
    if register and not any(known):
        registrar = _default_registrar() if register is True else register
        if not callable(registrar):
            raise InputError(f"register: {register!r} is no registrar; give True, or one of load_registrar")
        size = (int(second.shape[-2]), int(second.shape[-1]))
        pairs = [
            align(Pair(str(k), first[k : k + 1], second[k : k + 1], False, size), registrar) for k in range(len(first))
        ]
        known = [pair.registration for pair in pairs]
        second = torch.cat([pair.infrared for pair in pairs])
    else:
        second = match_infrared(first, second)
    return first.to(device), second.to(device), known or [None] * len(first)


@lru_cache(maxsize=1)
def _default_registrar() -> Registrar:
    return load_registrar()


def carried(visible: Pair | Images) -> dict[str, Any]:
    """What goes from a pair to the output made of it, as arguments of `FusionOutput`."""
    if not isinstance(visible, Pair):
        return {}
    limits = visible.limits if visible.temperature is not None else None
    return {"limits": [limits], "exif": [visible.exif]}


def small_copies(visible: Tensor, infrared: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The sources as a panel shows them: (3, h, w) and (1, h, w) of each pair."""
    return [(shrunk(first), shrunk(second)) for first, second in zip(visible, infrared, strict=True)]
