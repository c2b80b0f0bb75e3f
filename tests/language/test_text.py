from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from ldfusion.errors import InputError
from ldfusion.language.text import TextEncoder
from ldfusion.language.tokenizer import select_merges

TEXTS = ["A person is near on the left.", "Two cars are far away."]
LABELS = ("person", "car", "night")


def tiny() -> TextEncoder:
    torch.manual_seed(0)
    merges = select_merges(TEXTS, common=20)
    return TextEncoder(dim=6, width=8, heads=2, layers=1, context_length=16, merges=merges, labels=LABELS)


def tiny_open_clip_config() -> dict[str, object]:
    return {
        "embed_dim": 6,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 8, "head_width": 4, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
    }


def write_open_clip_model(folder: Path, **changes: object) -> open_clip.CLIP:
    """A model of open_clip in the layout that it loads as ``local-dir:``."""
    config = tiny_open_clip_config() | changes
    torch.manual_seed(1)
    model = open_clip.CLIP(**config)  # type: ignore[arg-type]
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model.eval()


def test_encode_gives_one_unnormalised_feature_a_sentence() -> None:
    encoder = tiny().eval()
    features = encoder.encode(TEXTS)
    assert features.shape == (2, 6) and features.dtype == torch.float32 and encoder.dim == 6
    assert not torch.allclose(features.norm(dim=1), torch.ones(2), atol=1e-2)
    # a sentence's feature depends on nothing but the sentence
    assert torch.allclose(encoder.encode(TEXTS[1:]), features[1:], atol=1e-6)
    assert not torch.allclose(features[0], features[1])


def test_named_classes_are_probabilities_of_the_label_head() -> None:
    encoder = tiny().eval()
    named = encoder.named_classes(TEXTS)
    assert named.shape == (2, 3)
    assert torch.equal(named, torch.sigmoid(encoder.label_logits(encoder.encode(TEXTS))).detach())


def test_an_encoder_without_labels_says_so() -> None:
    encoder = TextEncoder(dim=6, width=8, heads=2, layers=1, context_length=16, merges="0-9")
    with pytest.raises(ValueError, match="no labels"):
        encoder.named_classes(TEXTS)


def test_every_parameter_gets_a_gradient() -> None:
    encoder = tiny()
    encoder.label_logits(
        encoder.encode([*TEXTS, "the the the the the the the the the the the the the the"])
    ).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_and_loaded_gives_the_same_features(tmp_path: Path) -> None:
    encoder = tiny().eval()
    encoder.save_pretrained(tmp_path)
    again = TextEncoder.from_pretrained(tmp_path)
    assert torch.equal(encoder.encode(TEXTS), again.encode(TEXTS))
    assert torch.equal(encoder.named_classes(TEXTS), again.named_classes(TEXTS))
    assert again.labels == LABELS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]


def test_a_pipeline_saves_and_loads_the_encoder(tmp_path: Path) -> None:
    from diffusers import DiffusionPipeline

    class Holder(DiffusionPipeline):
        def __init__(self, text_encoder: TextEncoder) -> None:
            super().__init__()
            self.register_modules(text_encoder=text_encoder)

    encoder = tiny().eval()
    Holder(encoder).save_pretrained(tmp_path)
    again = Holder.from_pretrained(tmp_path)
    assert torch.equal(encoder.encode(TEXTS), again.text_encoder.encode(TEXTS))


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_a_model_of_open_clip_gives_its_own_text_features(tmp_path: Path, quick_gelu: bool) -> None:
    model = write_open_clip_model(tmp_path, quick_gelu=quick_gelu)
    encoder = TextEncoder.from_open_clip(str(tmp_path))
    expected = model.encode_text(open_clip.tokenize(TEXTS, context_length=16))
    assert torch.allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    assert encoder.config["quick_gelu"] is quick_gelu and encoder.labels == ()
    encoder.save_pretrained(tmp_path / "saved")
    assert torch.equal(TextEncoder.from_pretrained(tmp_path / "saved").encode(TEXTS), encoder.encode(TEXTS))


def test_a_registered_model_is_loaded_from_a_safetensors_file(tmp_path: Path) -> None:
    (tmp_path / "tiny-for-test.json").write_text(json.dumps(tiny_open_clip_config()))
    open_clip.add_model_config(tmp_path / "tiny-for-test.json")
    model = write_open_clip_model(tmp_path)
    encoder = TextEncoder.from_open_clip("tiny-for-test", str(tmp_path / "open_clip_model.safetensors"))
    assert torch.allclose(encoder.encode(TEXTS), model.encode_text(open_clip.tokenize(TEXTS, 16)), atol=1e-6)


def test_weights_that_cannot_be_had_stop_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cases = {
        ("ViT-B-32", "openai"): "'ViT-B-32' with weights 'openai': not found in",
        ("ViT-B-32", "nowhere"): "give a .safetensors file or a known tag",
        ("ViT-B-32", ""): "give a .safetensors file or a known tag",
        ("ViT-B-33", "openai"): "neither a folder nor a model of open_clip",
        ("hf-hub:nobody/nothing", ""): "'hf-hub:nobody/nothing': not found in",
        (str(tmp_path), ""): "open_clip_config.json and a .safetensors file must be there",
    }
    for (name, pretrained), message in cases.items():
        with pytest.raises(InputError) as caught:
            TextEncoder.from_open_clip(name, pretrained)
        line = str(caught.value)
        assert message in line and "\n" not in line
        assert line.endswith("the embedded text encoder is used")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"vocab_size": 100}, "a vocabulary of 100"), ({"hf_model_name": "roberta-base"}, "setting 'hf_model_name'")],
)
def test_text_towers_of_another_kind_are_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    write_open_clip_model(tmp_path)
    config = tiny_open_clip_config()
    config["text_cfg"] = {**config["text_cfg"], **change}  # type: ignore[dict-item]
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    with pytest.raises(InputError, match=f"its text tower has {reason}"):
        TextEncoder.from_open_clip(str(tmp_path))
