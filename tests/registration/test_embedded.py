"""The networks that come with the package, by the names the command knows them by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ldfusion.evaluation.registration import grid_error
from ldfusion.registration.methods import load_registrar


@pytest.mark.parametrize(("method", "limit"), [("affine", 5.0), ("voxelmorph", 2.0)])
def test_the_embedded_network_registers_a_misaligned_pair(
    method: str, limit: float, misaligned: Callable[[int], tuple[torch.Tensor, torch.Tensor, np.ndarray]]
) -> None:
    fixed, moving, truth = misaligned(1)
    found = load_registrar(method)(fixed, moving)
    before = grid_error(load_registrar("identity")(fixed, moving), truth, (240, 320), (240, 320))
    after = grid_error(found, truth, (240, 320), (240, 320))
    assert before > 15 and after < limit and found.trusted
    assert (found.flow is not None) == (method == "voxelmorph")
