"""The registration methods by name, behind one interface."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from ldfusion.registration.warp import resize_matrix
from ldfusion.registry import REGISTRATION, make
from ldfusion.types import Registration


class Registrar(Protocol):
    """Finds where an infrared image lies in the visible image of the same scene."""

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """Register one pair.

        Args:
            visible: (1, 3, H, W) float32 in [0, 1].
            infrared: (1, 1, h, w) float32 in [0, 1], of any size.
        """
        ...


class IdentityRegistrar:
    """Resizes: what happens to a pair that is taken to be registered already. Always trusted, score 1."""

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `Registrar`."""
        moving, fixed = (infrared.shape[-2], infrared.shape[-1]), (visible.shape[-2], visible.shape[-1])
        return Registration(resize_matrix(moving, fixed), "affine", 1.0, True)


def settle(registration: Registration, visible: Tensor, infrared: Tensor) -> Registration:
    """What to do with a result: the registration where it is trusted, else the plain resize with its score, untrusted.

    Args:
        registration: of the pair.
        visible: (1, 3, H, W).
        infrared: (1, 1, h, w).
    """
    if registration.trusted:
        return registration
    moving, fixed = (infrared.shape[-2], infrared.shape[-1]), (visible.shape[-2], visible.shape[-1])
    return Registration(resize_matrix(moving, fixed), "affine", registration.score, False)


def load_registrar(method: str = "auto", **options: Any) -> Registrar:
    """The registrar of that name.

    Args:
        method: a key of `ldfusion.registry.REGISTRATION`, or ``module:Class`` of one's own.
        options: arguments of its class, for instance ``model="affine"`` of ``refine``.

    Raises:
        InputError: unknown method or option, or weights that are not there.
    """
    registrar: Registrar = make(method, REGISTRATION, "registration method", options)
    return registrar
