from __future__ import annotations

import pytest
import torch

from ldfusion.evaluation.metrics import DEFAULT, METRICS, compute_metrics
from ldfusion.evaluation.modules import CLASSES, fusion_metrics


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    visible, infrared = (torch.randint(0, 256, (count, 1, 44, 48), generator=generator).float() for _ in range(2))
    return (visible + infrared) / 2, visible, infrared


def test_every_metric_has_a_class() -> None:
    assert list(CLASSES) == list(METRICS)
    assert all(kind.higher_is_better == METRICS[name].higher_is_better for name, kind in CLASSES.items())


def test_mean_over_uneven_batches() -> None:
    collection = fusion_metrics(prefix="val/")
    first, second = images(3, 0), images(1, 1)
    collection.update(*first)
    collection.update(*second)
    everything = compute_metrics(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    result = collection.compute()
    assert set(result) == {f"val/{name}" for name in DEFAULT}
    for name, values in everything.items():
        assert result[f"val/{name}"].item() == pytest.approx(values.mean().item(), rel=1e-12, nan_ok=True)


def test_undefined_images_are_left_out_and_states_stay_apart() -> None:
    black = (torch.zeros(1, 1, 44, 48),) * 3
    collection = fusion_metrics(["EN", "SD", "SF", "CC"])
    collection.update(*black)
    collection.update(*images(1, 2))
    result = collection.compute()
    values = compute_metrics(*images(1, 2), ["EN", "SD", "SF", "CC"])
    assert result["EN"].item() == pytest.approx(values["EN"].item() / 2)
    assert result["SD"].item() == pytest.approx(values["SD"].item() / 2)
    assert result["SF"].item() == pytest.approx(values["SF"].item() / 2)
    assert result["CC"].item() == pytest.approx(values["CC"].item())


def test_colours_have_a_class_of_their_own_input() -> None:
    generator = torch.Generator().manual_seed(0)
    fused, visible = (torch.randint(0, 256, (2, 3, 40, 30), generator=generator).float() for _ in range(2))
    metric = CLASSES["colour"]()
    metric.update(fused, visible, visible[:, :1])
    assert metric.compute().item() == pytest.approx(METRICS["colour"](fused, visible, visible).mean().item())


def test_reset_and_merge_of_states() -> None:
    one, other = CLASSES["EN"](), CLASSES["EN"]()
    one.update(*images(2, 3))
    other.update(*images(2, 4))
    expected = torch.cat([METRICS["EN"](*images(2, seed)) for seed in (3, 4)]).mean()
    one.merge_state(other)
    assert one.compute().item() == pytest.approx(expected.item())
    one.reset()
    one.update(*images(1, 5))
    assert one.compute().item() == pytest.approx(METRICS["EN"](*images(1, 5)).item())
