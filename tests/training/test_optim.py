from __future__ import annotations

import pytest
import torch
from diffusers.optimization import get_scheduler
from torch import nn

from ldfusion.config import OptimConfig, OptimizerConfig, TaskOptimizerConfig
from ldfusion.errors import InputError
from ldfusion.training.optim import build_optimizer, build_schedule, rate_factor
from ldfusion.training.stages import ParameterGroup


def rates(config: OptimizerConfig, steps: int) -> list[float]:
    return [config.lr * rate_factor(config, k, steps) for k in range(steps)]


@pytest.mark.parametrize(("schedule", "theirs"), [("cosine", "cosine"), ("constant", "constant_with_warmup")])
def test_the_same_rates_as_those_of_diffusers(schedule: str, theirs: str):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = get_scheduler(theirs, optimizer, num_warmup_steps=4, num_training_steps=20)
    for ours in rates(OptimizerConfig(lr=0.3, schedule=schedule, warmup=4), 20):
        assert ours == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        reference.step()


def test_poly_with_an_exponential_warmup():
    """SeAFusion's code: 1e-5 (1e-2 / 1e-5)^(k / 1000) for 1000 steps, then 1e-2 (1 - k / K)^0.9 up to step 80,000."""
    config = TaskOptimizerConfig()
    assert (config.name, config.momentum, config.weight_decay) == ("sgd", 0.9, 5e-4)
    at = {k: config.lr * rate_factor(config, k, 80_000) for k in (0, 500, 1000, 40_500, 79_999)}
    assert at[0] == pytest.approx(1e-5)
    assert at[500] == pytest.approx((1e-5 * 1e-2) ** 0.5)
    assert at[1000] == pytest.approx(1e-2)
    assert at[40_500] == pytest.approx(1e-2 * 0.5**0.9)
    assert at[79_999] == pytest.approx(1e-2 * (1 / 79_000) ** 0.9)


def test_poly_without_warmup_is_monotonous():
    values = rates(OptimizerConfig(lr=1.0, schedule="poly", warmup=0), 10)
    assert values[0] == 1.0 and values == sorted(values, reverse=True) and values[-1] == pytest.approx(0.1**0.9)


def test_groups_have_their_own_rates_and_decay():
    slow, fast = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(3))
    groups = [ParameterGroup([slow]), ParameterGroup([fast], rate=10, decay=False), ParameterGroup([])]
    config = OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.5, momentum=0.8, warmup=0, schedule="poly")
    optimizer = build_optimizer(config, groups)
    assert isinstance(optimizer, torch.optim.SGD)
    assert [(g["lr"], g["weight_decay"], g["momentum"]) for g in optimizer.param_groups] == [
        (pytest.approx(0.1), 0.5, 0.8), (pytest.approx(1.0), 0.0, 0.8),
    ]  # fmt: skip
    schedule = build_schedule(config, optimizer, 2)
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [pytest.approx(0.1 * 0.5**0.9), pytest.approx(0.5**0.9)]


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam(name: str, kind: type):
    optimizer = build_optimizer(
        OptimizerConfig(name=name, betas=[0.9, 0.99]), [ParameterGroup([nn.Parameter(torch.ones(1))])]
    )
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.99)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: OptimConfig(name="sdg"), r"optim\.name: unknown name 'sdg'; did you mean 'sgd'"),
        (lambda: OptimConfig(schedule="ploy"), r"optim\.schedule: unknown schedule 'ploy'; did you mean 'poly'"),
        (lambda: OptimConfig(momentum=1.0), r"optim\.momentum=1\.0"),
        (lambda: TaskOptimizerConfig(lr=0), r"optim\.task\.lr=0: must be above 0"),
        (lambda: OptimConfig(power=0), r"optim\.power=0: must be above 0"),
    ],
)
def test_settings_that_cannot_be(make, expected):
    with pytest.raises(InputError, match=expected):
        make()
