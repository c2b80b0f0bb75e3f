"""Losses of segmentation: cross entropy, plain or on hard pixels, of a main and an auxiliary head."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.config import nearest
from ldfusion.data.label_sets import IGNORED
from ldfusion.errors import InputError
from ldfusion.segmentation.network import Logits

KINDS = ("ohem", "plain")


def pixel_losses(logits: Tensor, labels: Tensor, known: Tensor | None = None) -> Tensor:
    """Cross entropy of every pixel (B, H, W), 0 where it is ignored.

    The background of a mask that knows only the first classes may be any of the others: there it is the probability of
    background and of those classes together that should be 1.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W), 255 ignored.
        known: (B,) how many classes each mask tells apart (`LabelSet.read`); None: all.
    """
    logits = logits.float()
    every = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    classes = logits.shape[1]
    if known is None or bool((known >= classes).all()):
        return every
    ids = torch.arange(classes, device=logits.device)
    possible = (ids >= known.to(logits.device)[:, None]) | (ids == 0)
    together = logits.masked_fill(~possible[:, :, None, None], -math.inf).logsumexp(1)
    return torch.where(labels == 0, logits.logsumexp(1) - together, every)


def plain_cross_entropy(
    logits: Tensor, labels: Tensor, known: Tensor | None = None, weights: Sequence[float] = ()
) -> Tensor:
    """Mean over the labelled pixels, 0 without any.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W), 255 ignored.
        known: see `pixel_losses`.
        weights: what a pixel of each class counts; none: all the same.
    """
    every = pixel_losses(logits, labels, known)
    labelled = labels != IGNORED
    if not weights:
        return every.sum() / labelled.sum().clamp_min(1)
    counts = torch.tensor(list(weights), device=every.device)[labels.masked_fill(~labelled, 0)] * labelled
    return (every * counts).sum() / counts.sum().clamp_min(1e-6)


def ohem_cross_entropy(
    logits: Tensor, labels: Tensor, threshold: float = 0.7, share: float = 1 / 8, known: Tensor | None = None
) -> Tensor:
    """Cross entropy of the hard pixels (online hard example mining, Shrivastava et al. 2016; as in SeAFusion's code).

    A pixel is hard when its true class has a probability below ``threshold``. When fewer than ``share`` of all pixels
    are, the hardest ``share`` counts instead.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W), 255 ignored; such pixels are never hard.
        threshold: probability, (0, 1).
        share: of the pixels of the batch, (0, 1).
        known: see `pixel_losses`.
    """
    every = pixel_losses(logits, labels, known).flatten()
    labelled = int((labels != IGNORED).sum())
    if labelled == 0:
        return every.sum() * 0.0
    least = min(labelled, max(1, int(share * every.numel())))
    hard = every > -math.log(threshold)
    if int(hard.sum()) >= least:
        return every[hard].mean()
    return every.topk(least).values.mean()


def semantic_loss(
    logits: Logits,
    labels: Tensor,
    kind: str = "ohem",
    auxiliary: float = 0.1,
    threshold: float = 0.7,
    share: float = 1 / 8,
    known: Tensor | None = None,
    weights: Sequence[float] = (),
) -> Tensor:
    """L = L_main + auxiliary L_aux (SeAFusion, eq. 10).

    The paper writes plain cross entropy with 0.1; its code takes hard pixels, 0.1 while the fusion network is trained
    and 0.75 while the segmentation network is.

    Args:
        logits: of both heads.
        labels: class ids (B, H, W), 255 ignored.
        kind: ``ohem`` or ``plain``.
        auxiliary: weight of the auxiliary head.
        threshold, share: see `ohem_cross_entropy`.
        known: see `pixel_losses`.
        weights: of the classes, for ``plain``.
    """
    check_kind(kind)
    heads = [(logits.main, 1.0)]
    if logits.auxiliary is not None and auxiliary > 0:
        heads.append((logits.auxiliary, auxiliary))

    def entropy(head: Tensor) -> Tensor:
        if kind == "ohem":
            return ohem_cross_entropy(head, labels, threshold, share, known)
        return plain_cross_entropy(head, labels, known, weights)

    return torch.stack([weight * entropy(head) for head, weight in heads]).sum()


def check_kind(kind: str) -> None:
    """Raise `InputError` for an unknown kind of cross entropy."""
    if kind not in KINDS:
        raise InputError(f"loss.kind: unknown '{kind}'; {nearest(kind, KINDS)}")
