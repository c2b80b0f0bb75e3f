from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ldfusion import weights
from ldfusion.errors import InputError
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.segmentation import SegmentationNetwork


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Folder of an untrained network in half precision, as the embedded ones are stored."""
    torch.manual_seed(0)
    GRDBFusionNetwork().half().save_pretrained(tmp_path / "network")
    return tmp_path / "network"


def change(folder: Path, name: str, value: torch.Tensor | None) -> None:
    """Put another tensor into the file of a network, or take one away."""
    (file,) = folder.glob("*.safetensors")
    state = weights.read_state(file)
    if value is None:
        del state[name]
    else:
        state[name] = value
    save_file(state, file)


def test_a_network_comes_back_ready_to_use(stored: Path) -> None:
    network = weights.load(GRDBFusionNetwork, "seafusion", stored)
    torch.manual_seed(0)
    made = GRDBFusionNetwork().state_dict()
    assert not network.training
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert all(torch.equal(value, made[name].half().float()) for name, value in network.state_dict().items())


def test_without_a_folder_the_embedded_network_is_meant() -> None:
    network = weights.load(GRDBFusionNetwork, "seafusion")
    stored = weights.read_state(weights.FOLDER / "seafusion" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(network.out.weight, stored["out.weight"].float())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("out.bias", None, "Missing key"),
        ("extra.weight", torch.zeros(1), "Unexpected key"),
        ("out.weight", torch.zeros(1, 8, 3, 3), "size mismatch for out.weight"),
        ("out.bias", torch.tensor([torch.nan]), "'out.bias' holds values that are not finite"),
    ],
)
def test_names_shapes_and_values_are_checked(name: str, value: torch.Tensor | None, reason: str, stored: Path) -> None:
    change(stored, name, value)
    with pytest.raises(InputError) as caught:
        weights.load(GRDBFusionNetwork, "seafusion", stored)
    assert str(caught.value).startswith(f"{stored}: cannot be loaded as 'seafusion': ")
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_network_is_said(stored: Path) -> None:
    with pytest.raises(InputError, match="it is the folder of a GRDBFusionNetwork"):
        weights.load(SegmentationNetwork, "segmentation", stored)
    with pytest.raises(
        InputError, match=r"none: no config\.json there; give the folder of a trained seafusion network"
    ):
        weights.load(GRDBFusionNetwork, "seafusion", stored / "none")
    (file,) = stored.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as weights"):
        weights.load(GRDBFusionNetwork, "seafusion", stored)
    file.unlink()
    with pytest.raises(InputError, match="it holds 0 safetensors files, one is expected"):
        weights.load(GRDBFusionNetwork, "seafusion", stored)
    (stored / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json holds no settings"):
        weights.load(GRDBFusionNetwork, "seafusion", stored)
    (stored / "config.json").write_text(json.dumps({})[:1])
    with pytest.raises(InputError, match=r"config\.json is not JSON"):
        weights.load(GRDBFusionNetwork, "seafusion", stored)


def test_the_digest_is_of_these_folders_alone(stored: Path, tmp_path: Path) -> None:
    first = weights.digest(stored)
    (tmp_path / "other").mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "other" / "model.safetensors")
    assert len(first) == 16 and weights.digest(stored) == first
    assert weights.digest(stored, tmp_path / "other") != first
