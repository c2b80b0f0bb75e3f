"""Optimisers and learning-rate schedules, made from the configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ldfusion.config import OptimizerConfig
from ldfusion.training.stages import ParameterGroup


def build_optimizer(config: OptimizerConfig, groups: Iterable[ParameterGroup]) -> Optimizer:
    """The optimiser of that name; each group has its own learning rate and weight decay."""
    options = [
        {
            "params": list(group.parameters),
            "lr": config.lr * group.rate,
            "weight_decay": config.weight_decay if group.decay else 0.0,
        }
        for group in groups
        if len(group.parameters)
    ]
    if config.name == "sgd":
        return torch.optim.SGD(options, lr=config.lr, momentum=config.momentum)
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(options, lr=config.lr, betas=(config.betas[0], config.betas[1]))


def rate_factor(config: OptimizerConfig, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at an optimiser's own step ``step`` of ``steps``.

    After the warm-up: 1 (``constant``), half a cosine to 0 (``cosine``), or (1 - k / K)^power (``poly``, as in
    DeepLab and BiSeNet), where k and K count the steps after the warm-up.
    """
    if step < config.warmup:
        if config.warmup_from > 0:
            return float((config.warmup_from / config.lr) ** (1 - step / config.warmup))
        return step / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    if config.schedule == "cosine":
        return max(0.0, 0.5 * (1 + math.cos(math.pi * done)))
    if config.schedule == "poly":
        return float(max(0.0, 1 - done) ** config.power)
    return 1.0


def build_schedule(config: OptimizerConfig, optimizer: Optimizer, steps: int) -> LambdaLR:
    """`rate_factor` over ``steps`` steps of this optimiser, for all its groups alike."""
    return LambdaLR(optimizer, lambda step: rate_factor(config, step, steps))
