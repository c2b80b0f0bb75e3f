"""The methods by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.registration import load_registrar


def test_identity_resizes() -> None:
    result = load_registrar("identity")(torch.rand(1, 3, 40, 60), torch.rand(1, 1, 80, 120))
    assert np.allclose(result.matrix, [[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    assert result.trusted and result.score == 1 and result.model == "affine"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'affine'"):
        load_registrar("afine")
    with pytest.raises(InputError, match="unknown key 'modle'"):
        load_registrar("identity", modle="affine")
