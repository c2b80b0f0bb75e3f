"""A pretrained captioner: a small BLIP saved to a folder, and depth in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from captioning.pretrained import PretrainedCaptioner, depth_words, third_distances

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "car", "on", "the", "road", "photo", "of"]
    tokenizer = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(words)})
    text = {
        "vocab_size": len(words), "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 8, "max_position_embeddings": 64,
        "bos_token_id": 5, "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 16, "projection_dim": 8,
    }  # fmt: skip
    torch.manual_seed(0)
    config = transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    images = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    transformers.BlipProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def test_describe_gives_sentences_with_depth(blip: Path) -> None:
    captioner = PretrainedCaptioner.from_pretrained(blip, local_files_only=True)
    captioner.max_new_tokens = 5
    assert not captioner.training
    depth = torch.linspace(0, 1, 48).expand(2, 1, 40, 48)
    said = captioner.describe(torch.rand(2, 3, 40, 48), torch.rand(2, 1, 40, 48), depth, depth, beams=2)
    assert len(said) == 2
    assert said[0]["facts"] == {"depth": {"left": "far", "center": "mid", "right": "near"}}
    assert "In the infrared:" in said[0]["caption"]
    assert said[0]["caption"].endswith(
        "Things are far away on the left, at mid distance in the center and near on the right."
    )


def test_prompt_is_not_repeated(blip: Path) -> None:
    captioner = PretrainedCaptioner.from_pretrained(blip, prompt="a photo of", local_files_only=True)
    captioner.max_new_tokens = 5
    flat = torch.ones(1, 1, 32, 32)
    (said,) = captioner.describe(torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32), flat, flat, beams=1)
    assert not said["caption"].lower().startswith("a photo of")


def test_a_missing_model_is_one_clear_line(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=r"captioning model .* not found .*embedded") as caught:
            PretrainedCaptioner.from_pretrained(source, local_files_only=True)
        assert "\n" not in str(caught.value)


def test_depth_words_of_a_flat_map() -> None:
    flat = torch.ones(1, 1, 8, 9)
    assert third_distances(flat, flat) == [{"left": "far", "center": "far", "right": "far"}]
    assert depth_words({"left": "near", "center": "mid", "right": "far"}) == (
        "Things are near on the left, at mid distance in the center and far away on the right."
    )
