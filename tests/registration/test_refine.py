"""`refine` with the embedded weights on drawn scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.registration import load_registrar
from ldfusion.registration.misalign import MisalignmentRange
from ldfusion.registration.refine import RefineRegistrar, plan, working_size
from ldfusion.registration.warp import apply_registration, invert
from ldfusion.types import Registration

Scene = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def refine() -> RefineRegistrar:
    registrar = load_registrar("refine")
    assert isinstance(registrar, RefineRegistrar)
    return registrar


@pytest.fixture(scope="module")
def standing(refine: RefineRegistrar, drawn_scene: Scene) -> Registration:
    """The result of a pair that is registered already."""
    return refine(*drawn_scene)


def moved(infrared: torch.Tensor, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    warped, mask = apply_registration(Registration(matrix, "homography", 1.0, True), infrared, size)
    return warped * mask


def test_a_registered_pair_stays_where_it_is(standing: Registration) -> None:
    assert corner_error(standing.matrix, np.eye(3), (240, 320)) < 2
    assert standing.trusted and standing.score > 0.5 and standing.model == "homography"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_homography_is_found(refine: RefineRegistrar, drawn_scene: Scene, seed: int) -> None:
    away = MisalignmentRange().draw(np.random.default_rng(seed), (240, 320))
    result = refine(drawn_scene[0], moved(drawn_scene[1], away, (240, 320)))
    assert corner_error(result.matrix, invert(away), (240, 320)) < 6
    assert result.trusted


def test_an_affine_model_has_no_perspective(drawn_scene: Scene) -> None:
    away = np.array([[1.1, 0.1, -20.0], [-0.1, 1.1, 10], [0, 0, 1]])
    result = load_registrar("refine", model="affine")(drawn_scene[0], moved(drawn_scene[1], away, (240, 320)))
    assert result.model == "affine" and result.matrix[2].tolist() == [0, 0, 1]
    assert corner_error(result.matrix, invert(away), (240, 320)) < 4


def test_an_infrared_frame_of_another_size_and_field(refine: RefineRegistrar, drawn_scene: Scene) -> None:
    """The visible image shows the middle of what the infrared one shows, at half its resolution."""
    whole = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])  # infrared pixels of the double size
    crop = np.array([[1.0, 0, -40], [0, 1.0, -30], [0, 0, 1]])
    infrared = moved(drawn_scene[1], whole, (480, 640))
    result = refine(drawn_scene[0][..., 30:210, 40:280], infrared)
    assert corner_error(result.matrix, crop @ invert(whole), (480, 640)) < 5
    assert result.trusted


@pytest.mark.parametrize(
    "content",
    [
        "nothing",
        "mirrored",
        pytest.param("noise", marks=pytest.mark.slow),  # every day by `ldfusion register`, in test_register.py
    ],
)
def test_images_without_common_content_are_not_trusted(
    refine: RefineRegistrar, drawn_scene: Scene, content: str
) -> None:
    strange = torch.rand(1, 1, 60, 80, generator=torch.Generator().manual_seed(0))
    infrared = {
        "nothing": torch.full((1, 1, 240, 320), 0.5),
        "mirrored": drawn_scene[1].flip(3),
        "noise": torch.nn.functional.interpolate(strange, (240, 320), mode="bilinear"),
    }[content]
    result = refine(drawn_scene[0], infrared)
    assert not result.trusted and result.score < 0.5
    assert np.isfinite(result.matrix).all()


def test_the_same_pair_gives_the_same_transform(
    refine: RefineRegistrar, standing: Registration, drawn_scene: Scene
) -> None:
    assert np.array_equal(refine(*drawn_scene).matrix, standing.matrix)


def test_small_images(refine: RefineRegistrar) -> None:
    result = refine(torch.rand(1, 3, 33, 47), torch.rand(1, 1, 40, 32))
    assert np.isfinite(result.matrix).all()


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="registration model: unknown 'spline'; did you mean 'affine'"):
        RefineRegistrar(model="spline")
    with pytest.raises(InputError, match=r"config\.json"):
        RefineRegistrar(weights="/nowhere")


def test_working_sizes_are_multiples_of_sixteen() -> None:
    assert working_size((330, 500), 512) == (336, 512)
    assert working_size((2000, 100), 512) == (512, 32)


def test_the_working_size_is_bounded_in_area_and_thin_pictures_get_more_rows() -> None:
    assert plan((330, 500), 512) == (336, 512)
    assert plan((4000, 6000), 512) == (336, 512)
    assert plan((64, 1000), 512) == (128, 2000)
    for size in ((33, 4000), (4000, 33), (32, 20_000), (512, 512), (20_000, 20_000)):
        height, width = plan(size, 512)
        assert height * width <= 1.5 * 2**18 and min(height, width) >= 32


def test_a_panorama_beside_a_frame_stays_small(refine: RefineRegistrar, monkeypatch: pytest.MonkeyPatch) -> None:
    """The infrared picture would have to be enlarged 300 times to cover the visible one."""
    seen: list[int] = []
    describe = refine._describe

    def watched(image: torch.Tensor, *rest: object) -> object:
        seen.append(image.numel())
        return describe(image, *rest)

    monkeypatch.setattr(refine, "_describe", watched)
    result = refine(torch.rand(1, 3, 240, 320), torch.rand(1, 1, 33, 4000))
    assert np.isfinite(result.matrix).all() and max(seen) <= 3.5 * 2**18
