"""What the full pipeline makes of training pairs, kept as files for the student that learns from it (stage `realtime`).

Kept are the coefficients, not the images: a grid is small, and of it follows what the pipeline makes of any part of the
pair at any size. Every pair is asked under its own caption, under two commands, and under another tone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from captioning.facts import write_report
from ldfusion.data.catalog import PairFiles
from ldfusion.data.labels import read_mask
from ldfusion.data.pairs import sample_seed
from ldfusion.diffusion.features import pipeline_noise
from ldfusion.errors import InputError
from ldfusion.fusion.tone import CONTROLS
from ldfusion.io.color import to_stack
from ldfusion.io.files import atomic_write
from ldfusion.io.size import resize
from ldfusion.loading import load_pair
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.training.stages.fusion_text import COMMANDS, TARGETS, WORDS


@dataclass(frozen=True)
class TeacherGrids:
    """The grids of one pair.

    Attributes:
        grids: (S, AXES, COEFFICIENTS, R, h, w) float32, see `ldfusion.fusion.grid`; the first is that of the caption.
        text: sentence features (S, D).
        tones: (S, CONTROLS).
        sentences: S sentences.
        frame: height and width of the pair.
    """

    grids: Tensor
    text: Tensor
    tones: Tensor
    sentences: list[str]
    frame: tuple[int, int]


def teacher_path(folder: str | Path, name: str) -> Path:
    """Where the grids of a pair ``dataset/stem`` are kept."""
    dataset, stem = name.split("/", 1)
    return Path(folder) / dataset / "fusion" / f"{stem}.safetensors"


def read_teacher(folder: str | Path, name: str) -> TeacherGrids:
    """The grids of a pair.

    Raises:
        InputError: none there (says which command makes them), or a damaged file.
    """
    file = teacher_path(folder, name)
    if not file.is_file():
        raise InputError(f"{file}: no grids of the pipeline; make them with 'python scripts/prepare_data.py fusion'")
    try:
        with safe_open(file, "pt") as stored:
            about = json.loads(stored.metadata()["about"])
            grids, text, tones = (stored.get_tensor(key).float() for key in ("grids", "text", "tones"))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not readable as grids of the pipeline ({error}); make it again") from error
    return TeacherGrids(grids, text, tones, about["sentences"], (about["frame"][0], about["frame"][1]))


@torch.no_grad()
def make_teacher_grids(
    pairs: Sequence[PairFiles],
    weights: str | None,
    output: Path,
    records: Mapping[str, dict[str, Any]] | None = None,
    device: str = "cpu",
) -> int:
    """Write the grids of all pairs; those that are there are kept, so that an interrupted run goes on.

    Args:
        pairs: whose images; masks, where there are any, tell which targets a command may name.
        weights: of the pipeline; None: the embedded ones.
        output: folder of the labels (``data.labels``).
        records: facts by name of pair, see `read_captions`; a pair without gets the pipeline's own caption, which takes
            longer than all the rest.

    Returns:
        How many were made.
    """
    pipe = LDFusionPipeline.from_pretrained(weights).to(device)
    todo = [pair for pair in pairs if not teacher_path(output, pair.name).exists()]
    random.Random(0).shuffle(todo)  # what an interrupted run leaves is of all data sets
    for files in tqdm(todo, unit="pair", desc="grids", disable=None):
        pair = load_pair(files.visible, files.infrared, files.name)
        visible, infrared = pair.visible.to(device), pair.infrared.to(device)
        known = (records or {}).get(files.name)
        caption = pipe.sentences(visible, infrared)[0] if known is None else write_report(known)
        sentences, tones = _questions(files, caption, visible.shape[-2:])
        found = _answers(pipe, visible, infrared, sentences, tones)
        target = teacher_path(output, files.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        about = {"sentences": sentences, "frame": list(visible.shape[-2:]), "weights": pipe.weights_id}
        with atomic_write(target) as temporary:
            save_file(found, temporary, {"about": json.dumps(about)})
    return len(todo)


def _questions(files: PairFiles, caption: str, shape: Sequence[int]) -> tuple[list[str], Tensor]:
    """Sentences and tones (S, CONTROLS) that a pair is asked with, a function of its name."""
    rng = np.random.default_rng(sample_seed(*files.name.encode()))
    mask = read_mask(files.labels, (int(shape[0]), int(shape[1])))
    there = [target for i, target in enumerate(TARGETS, start=1) if bool((mask == i).any())]
    first = str(rng.choice(there or list(TARGETS)))
    second = str(rng.choice([name for name in TARGETS if name != first]))
    commands = [str(rng.choice(COMMANDS)).format(rng.choice(WORDS[name])) for name in (first, second)]
    tones = torch.zeros(4, CONTROLS)
    tones[3] = torch.from_numpy(rng.uniform(-1, 1, CONTROLS))
    return [caption, *commands, caption], tones


def _answers(
    pipe: LDFusionPipeline, visible: Tensor, infrared: Tensor, sentences: list[str], tones: Tensor
) -> dict[str, Tensor]:
    fuser = pipe.fuser
    shape = fuser.working_shape(int(visible.shape[-2]), int(visible.shape[-1]))
    stack = to_stack(resize(visible, shape), resize(infrared, shape))
    features = fuser.extractor(stack, pipeline_noise((1, *shape), 0, None, visible.device))
    text = pipe.text_encoder.encode(sentences)
    grids: list[Any] = [
        fuser.decoder(features, stack, text[k : k + 1], tones[k : k + 1].to(visible.device)) for k in range(len(text))
    ]
    return {"grids": torch.cat(grids).half().cpu(), "text": text.half().cpu(), "tones": tones}
