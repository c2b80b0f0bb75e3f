"""The pipeline with tiny real components: inputs, outputs, determinism, tiling, saving and loading."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from depth.estimator import enlarge
from ldfusion.errors import InputError
from ldfusion.loading import load_pair
from ldfusion.output import FusionOutput
from ldfusion.pipeline import LDFusionPipeline, load_component


@pytest.fixture(scope="module")
def pipe() -> LDFusionPipeline:
    from captioning.network import DepthCaptioner
    from depth.network import DepthStudent
    from ldfusion.diffusion.denoiser import build_denoiser
    from ldfusion.fusion.decoder import FusionDecoder
    from ldfusion.language.text import TextEncoder

    torch.manual_seed(0)
    depth = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 64}
    return LDFusionPipeline(
        denoiser=build_denoiser((8, 16), groups=4),
        decoder=FusionDecoder((8, 16), 3, (8, 8), text_dim=16, hidden=8),
        text_encoder=TextEncoder(dim=16, width=16, heads=2, layers=1, merges="0-99", context_length=48),
        depth_visible=DepthStudent(3, **depth),
        depth_infrared=DepthStudent(1, **depth),
        captioner=DepthCaptioner(
            words=["a", "person", "near", "left"], size=(32, 48), widths=(8, 8, 16, 16), blocks=(1, 1, 1), width=16,
            layers=1, heads=2, max_length=12,
        ),
    )  # fmt: skip


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, 45, 67, generator=generator), torch.rand(1, 1, 45, 67, generator=generator)


def test_output_fields_shapes_and_ranges(pipe, pair):
    out = pipe(*pair)
    assert isinstance(out, FusionOutput)
    assert out.fused.shape == (1, 3, 45, 67)
    assert out.fused.min() >= 0 and out.fused.max() <= 1
    for depth in (out.depth, out.depth_visible, out.depth_infrared):
        assert depth.shape == (1, 1, 45, 67)
        assert depth.min() >= 0
    assert isinstance(out.caption[0], str) and out.prompt == out.caption
    assert set(out.facts[0])


def test_depth_of_the_working_size_is_that_of_the_full_size(pipe, pair):
    visible, infrared = (torch.nn.functional.interpolate(image, (100, 170)) for image in pair)
    full, small = pipe(visible, infrared), pipe(visible, infrared, full_depth=False)
    assert torch.equal(full.fused, small.fused) and full.facts == small.facts
    for name in ("depth", "depth_visible", "depth_infrared"):
        assert small[name].shape == (1, 1, 64, 96)
        assert torch.equal(enlarge(small[name], 100, 170), full[name])
    seen = pipe.describe(visible, infrared, full.depth_visible, full.depth_infrared)
    assert full.facts[0] == seen[0]["facts"]


def test_infrared_of_another_size_is_fitted_to_the_visible(pipe, pair):
    assert pipe(pair[0], torch.rand(1, 1, 90, 134)).fused.shape == (1, 3, 45, 67)


def test_same_seed_same_image_other_seed_other_image(pipe, pair):
    first = pipe(*pair).fused
    assert torch.equal(first, pipe(*pair, generator=torch.Generator().manual_seed(0)).fused)
    assert not torch.equal(first, pipe(*pair, generator=torch.Generator().manual_seed(5)).fused)


def test_result_does_not_depend_on_the_batch(pipe, pair):
    alone = pipe(*pair, prompt="a person near").fused
    visible = torch.cat([torch.rand_like(pair[0]), pair[0]])
    infrared = torch.cat([torch.rand_like(pair[1]), pair[1]])
    together = pipe(visible, infrared, prompt="a person near").fused
    assert (together[1] - alone[0]).abs().max() < 1e-5


def test_prompt_replaces_the_caption_and_changes_the_image(pipe, pair):
    first, second = pipe(*pair, prompt="highlight the people"), pipe(*pair, prompt="a road at night")
    assert first.prompt == ["highlight the people"] and first.caption == second.caption
    assert not torch.equal(first.fused, second.fused)


def test_a_tone_is_a_name_or_its_controls(pipe, pair):
    natural = pipe(*pair).fused
    assert torch.equal(natural, pipe(*pair, tone="natural").fused)
    bright = pipe(*pair, tone="bright").fused
    assert torch.equal(bright, pipe(*pair, tone=(0.0, 1.0)).fused) and not torch.equal(bright, natural)


def test_pil_arrays_and_tensors_agree(pipe):
    rng = np.random.default_rng(0)
    visible, infrared = rng.integers(0, 256, (40, 48, 3), np.uint8), rng.integers(0, 256, (40, 48), np.uint8)
    from_arrays = pipe(visible, infrared).fused
    from_pil = pipe(Image.fromarray(visible), Image.fromarray(infrared)).fused
    from_tensors = pipe(torch.from_numpy(visible).permute(2, 0, 1), torch.from_numpy(infrared)[None]).fused
    assert torch.equal(from_arrays, from_pil) and torch.equal(from_arrays, from_tensors)


def test_output_types(pipe, pair):
    reference = pipe(*pair)
    arrays = pipe(*pair, output_type="np")
    assert arrays.fused.shape == (1, 45, 67, 3) and arrays.depth.shape == (1, 45, 67, 1)
    pictures = pipe(*pair, output_type="pil")
    assert pictures.fused[0].size == (67, 45) and pictures.fused[0].mode == "RGB"
    levels = torch.from_numpy(np.array(pictures.fused[0])).permute(2, 0, 1) / 255
    assert (levels - reference.fused[0]).abs().max() <= 0.5 / 255 + 1e-6
    assert pictures.depth[0].mode == "I;16"


def test_other_timesteps_change_the_features(pipe, pair):
    assert not torch.equal(pipe(*pair, timesteps=[10, 200, 900]).fused, pipe(*pair).fused)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timesteps": [5, 50]}, "at 3 of them, got 2"),
        ({"timesteps": [0, 50, 100]}, "outside 1..2000"),
        ({"output_type": "jpg"}, "unknown 'jpg'"),
        ({"tone": "dark"}, "tone: unknown 'dark'"),
        ({"tone": (0.0, 3.0)}, "each from -1 to 1"),
        ({"prompt": ["one", "two"]}, "2 sentences for 1 pairs"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": 3}, "prompt: 3 is no sentence; give a string"),
        ({"prompt": ["one", None]}, "2 sentences for 1 pairs"),
        ({"prompt": [None]}, "prompt: None is no sentence"),
        ({"prompt": b"one"}, "prompt: b'one' is no sentence"),
        ({"timesteps": 3}, "timesteps: 3 is no list of whole numbers"),
        ({"generator": 3}, "generator: 3: give a torch.Generator of the CPU"),
        ({"register": 3}, "register: 3 is no registrar; give True"),
    ],
)
def test_bad_arguments_are_one_clear_line(pipe, pair, arguments, message):
    with pytest.raises(InputError, match=message) as error:
        pipe(*pair, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("visible", "infrared", "message"),
    [
        (torch.rand(1, 3, 20, 64), torch.rand(1, 1, 20, 64), "at least 32"),
        (torch.full((1, 3, 40, 40), float("nan")), torch.rand(1, 1, 40, 40), "not finite"),
        (255 * torch.rand(1, 3, 40, 40), torch.rand(1, 1, 40, 40), r"must lie in \[0, 1\]"),
        (torch.rand(2, 3, 40, 40), torch.rand(1, 1, 40, 40), "2 visible but 1 infrared"),
        ([torch.rand(3, 40, 40), torch.rand(3, 40, 44)], torch.rand(2, 1, 40, 40), "differ in size"),
    ],
)
def test_bad_images_are_one_clear_line(pipe, visible, infrared, message):
    with pytest.raises(InputError, match=message):
        pipe(visible, infrared)


def test_save_and_load_give_the_same_pipeline(pipe, pair, tmp_path):
    pipe.save_pretrained(tmp_path / "pipeline")
    assert not list((tmp_path / "pipeline").rglob("*.bin"))
    loaded = LDFusionPipeline.from_pretrained(tmp_path / "pipeline")
    assert loaded.weights_id == str(tmp_path / "pipeline")
    for name, weight in pipe.decoder.state_dict().items():
        assert torch.equal(loaded.decoder.state_dict()[name], weight)
    assert torch.allclose(loaded(*pair).fused, pipe(*pair).fused, atol=1e-5)
    assert loaded(*pair).caption == pipe(*pair).caption


def test_missing_weights_are_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="no model_index"):
        LDFusionPipeline.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded as 'decoder'"):
        load_component("decoder", tmp_path)


def test_what_is_no_folder_of_a_pipeline(tmp_path):
    (tmp_path / "decoder.safetensors").write_bytes(b"")
    for source, message in (
        (tmp_path / "decoder.safetensors", "is a file; give the folder written by save_pretrained"),
        (tmp_path / "missing" / "deeper", "neither a folder nor a model"),
        (3, "weights: 3 is no path"),
    ):
        with pytest.raises(InputError, match=message) as error:
            LDFusionPipeline.from_pretrained(source)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state, name: state.pop(name), "lacks tensor"),
        (lambda state, name: state.update(other=torch.zeros(2)), "has the unknown tensor 'other'"),
        (lambda state, name: state.update({name: torch.zeros(3, 3, 3)}), "cannot be loaded .*expected shape"),
        (lambda state, name: state.update({name: state[name] * torch.nan}), "holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_a_component_are_named(weights, change, message, tmp_path):
    folder = Path(shutil.copytree(weights, tmp_path / "pipeline"))
    file = folder / "decoder" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    change(state, next(name for name in sorted(state) if state[name].is_floating_point()))
    save_file(state, file)
    with pytest.raises(InputError, match=message) as error:
        LDFusionPipeline.from_pretrained(folder)
    assert "decoder" in str(error.value) or "expected shape" in message
    assert "\n" not in str(error.value)


def test_another_precision_is_refused(pipe, weights):
    for change in (
        lambda: pipe.to(torch.float16),
        lambda: pipe.to("cpu", torch.bfloat16),
        lambda: pipe.to(dtype=torch.float64),
        lambda: LDFusionPipeline.from_pretrained(weights, torch_dtype=torch.float16),
    ):
        with pytest.raises(InputError, match=r"computes in float32, not in (b?float16|float64)"):
            change()
    assert pipe.to("cpu", torch.float32) is pipe and next(pipe.decoder.parameters()).dtype == torch.float32


def test_transformers_depth_models_take_the_students_place(pipe, pair, tmp_path):
    from transformers import DepthAnythingConfig, Dinov2Config
    from transformers.models.depth_anything import DepthAnythingForDepthEstimation

    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, out_indices=[1, 2],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, patch_size=14, neck_hidden_sizes=[8, 8],
        reassemble_factors=[2, 1], fusion_hidden_size=8, head_hidden_size=4,
    )  # fmt: skip
    torch.manual_seed(0)
    parts = dict(pipe.components)
    parts["depth_visible"] = DepthAnythingForDepthEstimation(config)
    other = LDFusionPipeline(**parts)
    assert other(*pair).depth_visible.shape == (1, 1, 45, 67)
    other.save_pretrained(tmp_path / "p")
    again = LDFusionPipeline.from_pretrained(tmp_path / "p")
    assert torch.allclose(again(*pair).depth_visible, other(*pair).depth_visible, rtol=1e-4, atol=1e-6)


def test_load_pair_fits_and_names(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(rng.integers(0, 256, (96, 128), np.uint8)).save(tmp_path / "b.png")
    pair = load_pair(tmp_path / "a.png", tmp_path / "b.png")
    assert pair.name == "a" and pair.visible.shape == (1, 3, 48, 64) and pair.infrared.shape == (1, 1, 48, 64)
    assert pair.infrared_size == (96, 128) and not pair.visible_is_grey
