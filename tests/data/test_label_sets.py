from __future__ import annotations

import pytest
import torch

from ldfusion.data.label_sets import LABEL_SETS, label_set
from ldfusion.data.labels import MASK_CLASSES
from ldfusion.errors import InputError


def test_the_nine_classes_and_their_first_four():
    msrs = label_set("msrs")
    assert len(msrs) == 9 and msrs.names[:4] == MASK_CLASSES
    assert msrs.names[-1] == "bump" and msrs.colours[1] == (64, 0, 128) and msrs.colours[2] == (64, 64, 0)
    assert label_set("objects").names == MASK_CLASSES
    assert label_set("objects").colours == msrs.colours[:4]
    for known in LABEL_SETS.values():
        assert len(set(known.colours)) == len(known.names) == len(known.colours)


def test_a_set_of_ones_own():
    own = label_set(["nothing", "road", "sky", "tree"])
    assert own.names == ("nothing", "road", "sky", "tree")
    assert own.colours[0] == (0, 0, 0) and len(set(own.colours)) == 4
    assert label_set(list(MASK_CLASSES)) is LABEL_SETS["objects"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mrss", "unknown 'mrss'; did you mean 'msrs'"),
        (["one"], "give 2 to 255"),
        (["a", "a"], "different class names"),
    ],
)
def test_sets_that_cannot_be(given, expected):
    with pytest.raises(InputError, match=expected):
        label_set(given)


def test_unknown_ids_are_named():
    objects = label_set("objects")
    objects.check(torch.tensor([[0, 3, 255]]), "a.png")
    with pytest.raises(InputError, match=r"a\.png: label id 4 is not one of the 4 classes .*expected 0\.\.3, or 255"):
        objects.check(torch.tensor([[0, 4, 255]]), "a.png")


def test_labels_are_painted():
    painted = label_set("objects").paint(torch.tensor([[[0, 1, 255]]]))
    assert painted.shape == (1, 3, 1, 3)
    assert (painted[0, :, 0] * 255).round().T.tolist() == [[0, 0, 0], [64, 0, 128], [128, 128, 128]]


def test_masks_in_terms_of_other_classes() -> None:
    mask = torch.tensor([[[0, 3, 5, 255]], [[0, 2, 1, 0]]])
    counts = torch.tensor([9, 4])
    labels, known = label_set("msrs").read(mask, counts)
    assert torch.equal(labels, mask) and known.tolist() == [9, 4]
    # a network of objects alone: what is none of them is background, and nothing is unknown to a mask
    labels, known = label_set("objects").read(mask, counts)
    assert labels.tolist() == [[[0, 3, 0, 255]], [[0, 2, 1, 0]]] and known.tolist() == [4, 4]
    own, known = label_set(["nothing", "thing"]).read(mask, counts)
    assert torch.equal(own, mask) and known.tolist() == [2, 2]
    wrong, _ = label_set("objects").read(torch.tensor([[[12]]]), torch.tensor([9]))
    assert wrong.item() == 12  # no id of MSRS: left for `check` to name
