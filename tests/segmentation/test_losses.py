from __future__ import annotations

import math

import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.segmentation.losses import ohem_cross_entropy, pixel_losses, plain_cross_entropy, semantic_loss
from ldfusion.segmentation.network import Logits


def scores(*probabilities: float) -> torch.Tensor:
    """Logits (1, 2, 1, W) under which class 1 has these probabilities."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()])[None, :, None]


def nll(*probabilities: float) -> float:
    return sum(-math.log(p) for p in probabilities) / len(probabilities)


ONES = torch.ones(1, 1, 4, dtype=torch.int64)


def test_plain_is_the_mean_over_labelled_pixels():
    logits = scores(0.9, 0.5, 0.2, 0.1)
    assert plain_cross_entropy(logits, ONES).item() == pytest.approx(nll(0.9, 0.5, 0.2, 0.1), abs=1e-5)
    labels = torch.tensor([[[1, 1, 255, 255]]])
    assert plain_cross_entropy(logits, labels).item() == pytest.approx(nll(0.9, 0.5), abs=1e-5)
    assert plain_cross_entropy(logits, torch.full_like(ONES, 255)).item() == 0


def test_hard_pixels_are_those_below_the_threshold():
    logits = scores(0.95, 0.8, 0.6, 0.1)
    assert ohem_cross_entropy(logits, ONES, 0.7, 0.25).item() == pytest.approx(nll(0.6, 0.1), abs=1e-5)
    assert ohem_cross_entropy(logits, ONES, 0.9, 0.25).item() == pytest.approx(nll(0.8, 0.6, 0.1), abs=1e-5)


def test_too_few_hard_pixels_are_filled_up_with_the_hardest():
    logits = scores(0.95, 0.8, 0.9, 0.6)
    assert ohem_cross_entropy(logits, ONES, 0.7, 0.5).item() == pytest.approx(nll(0.6, 0.8), abs=1e-5)


def test_ignored_pixels_are_never_hard():
    logits, labels = scores(0.95, 0.8, 0.1, 0.1), torch.tensor([[[1, 1, 255, 255]]])
    assert ohem_cross_entropy(logits, labels, 0.7, 0.25).item() == pytest.approx(nll(0.8), abs=1e-5)
    # more asked for than there are labelled pixels
    assert ohem_cross_entropy(logits, labels, 0.7, 1.0).item() == pytest.approx(nll(0.95, 0.8), abs=1e-5)
    none = scores(0.5, 0.5, 0.5, 0.5).requires_grad_()
    loss = ohem_cross_entropy(none, torch.full_like(ONES, 255))
    loss.backward()
    assert loss.item() == 0 and none.grad.abs().sum() == 0


def test_the_auxiliary_head_is_weighed():
    logits = Logits(scores(0.5, 0.5, 0.5, 0.5), scores(0.25, 0.25, 0.25, 0.25))
    expected = math.log(2) + 0.1 * math.log(4)
    for kind in ("plain", "ohem"):
        assert semantic_loss(logits, ONES, kind, 0.1).item() == pytest.approx(expected, abs=1e-5)
        assert semantic_loss(logits, ONES, kind, 0.0).item() == pytest.approx(math.log(2), abs=1e-5)
        assert semantic_loss(Logits(logits.main, None), ONES, kind).item() == pytest.approx(math.log(2), abs=1e-5)


def test_half_precision_scores_are_compared_in_single():
    logits = Logits(scores(0.5, 0.9, 0.2, 0.4).bfloat16(), None)
    assert semantic_loss(logits, ONES, "plain").dtype == torch.float32


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match=r"loss\.kind: unknown 'oehm'; did you mean 'ohem'"):
        semantic_loss(Logits(scores(0.5), None), ONES[..., :1], "oehm")


def test_background_of_a_mask_that_knows_fewer_classes():
    """Its pixels ask for background and the unknown classes together; those of known classes are as ever."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])  # of classes 0..3
    logits = p.log().view(1, 4, 1, 1).expand(2, 4, 1, 3).clone().requires_grad_()
    labels = torch.tensor([[[0, 1, 255]], [[0, 1, 255]]])
    every = pixel_losses(logits, labels, torch.tensor([2, 4]))
    assert every[0, 0].tolist() == pytest.approx([nll(0.1 + 0.3 + 0.4), nll(0.2), 0], abs=1e-5)
    assert every[1, 0].tolist() == pytest.approx([nll(0.1), nll(0.2), 0], abs=1e-5)
    every.sum().backward()
    gradient = logits.grad[0, :, 0, 0]
    assert gradient.isfinite().all() and logits.grad.isfinite().all()
    # raising an unknown class is as welcome there as raising background, and only the known one is pushed down
    assert gradient[1] > 0 and gradient[2] < 0 and gradient[3] < 0
    for kind in ("plain", "ohem"):
        heads = Logits(logits.detach(), logits.detach())
        lax, strict = (semantic_loss(heads, labels, kind, known=torch.tensor(k)) for k in ([2, 2], [4, 4]))
        assert lax < strict == semantic_loss(heads, labels, kind)


def test_classes_are_weighed():
    logits, labels = scores(0.5, 0.25, 0.9, 0.9), torch.tensor([[[0, 1, 255, 255]]])
    loss = plain_cross_entropy(logits, labels, weights=[1.0, 3.0])
    assert loss.item() == pytest.approx((nll(0.5) + 3 * nll(0.25)) / 4, abs=1e-5)
    weighed = semantic_loss(Logits(logits, logits), labels, "plain", 1.0, weights=[1.0, 3.0])
    assert weighed.item() == pytest.approx(2 * loss.item(), abs=1e-5)
    assert plain_cross_entropy(logits, torch.full_like(labels, 255), weights=[1.0, 3.0]).item() == 0
