"""The task benchmark on tiny data, launched as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.benchmarks.tasks import TaskBenchmark
from ldfusion.config import DataConfig
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.fusion.methods import load_method
from ldfusion.segmentation.network import SegmentationNetwork

pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")


@pytest.fixture(scope="module")
def pool(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set twice, as the benchmark reads RoadScene and MSRS: pseudo-masks and true ones."""
    root = tmp_path_factory.mktemp("pool")
    for entry in data_root.iterdir():
        os.symlink(entry, root / entry.name)
    for folder, other in (("visible", "visible"), ("infrared", "infrared"), ("labels", "object_mask")):
        shutil.copytree(data_root / "roadscene" / other, root / "msrs" / folder)
    for file in (root / "msrs" / "labels").iterdir():
        mask = np.array(Image.open(file))
        mask[:10, :10] = 5  # a car stop, which pseudo-masks do not know
        Image.fromarray(mask).save(file)
    shutil.copytree(data_root / "labels" / "roadscene", root / "depth" / "msrs")
    os.symlink(data_root / "labels" / "roadscene", root / "depth" / "roadscene")
    (root / "splits").unlink()
    (root / "splits").mkdir()
    for name in ("train.txt", "val.txt"):
        words = (data_root / "splits" / name).read_text()
        (root / "splits" / name).write_text(words + words.replace("roadscene/", "msrs/"))
    return root


def launch(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "scripts" / "benchmark.py"), "tasks", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)


def test_depth_can_be_judged_without_a_training(pool: Path, tmp_path: Path) -> None:
    benchmark = TaskBenchmark(pool, tmp_path / "out", pool / "depth", scenes=1, train_scenes=0, tasks=("depth",))
    row = benchmark.run(("mean",)).rows["mean"]
    assert row.problems == [] and "re-trained" not in benchmark.protocol()
    assert row.values["AbsRel night"] is not None and row.values["depth rho"] is not None
    assert not [name for name in row.values if "re-trained" in name]


@pytest.mark.slow
def test_rows_of_two_methods_and_a_second_run(repository: Path, pool: Path, tmp_path: Path) -> None:
    from ldfusion.detection.network import CentreDetector

    CentreDetector(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), stem=8, head=8, working_size=64).save_pretrained(
        tmp_path / "detector"
    )
    words = ["--data", str(pool), "--labels", str(pool / "depth"), "-o", str(tmp_path / "out"), "--scenes", "1"]
    words += ["--methods", "mean,infrared", "--detector", str(tmp_path / "detector")]
    words += ["--train-scenes", "5", "train.steps=3", "train.batch=2", "data.crop=[64,64]", "optim.precision=fp32"]
    first = launch(repository, *words)
    assert first.returncode == 0, first.stderr
    table = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert list(table["rows"]) == ["mean", "infrared"]
    assert "judged on the 2 pairs with true masks (msrs)" in table["protocol"]
    assert "connected parts of true masks from 1/2500 of the image on (msrs), else pseudo-boxes" in table["protocol"]
    for scores in table["rows"].values():
        assert scores["problems"] == []
        assert scores["values"]["IoU car stop"] is not None  # true masks tell it
        assert 0 <= scores["values"]["mIoU"] <= 100 and 0 <= scores["values"]["AP"] <= 1
        assert scores["values"]["AP car"] is None and -1 <= scores["values"]["depth rho"] <= 1
        assert scores["values"]["AbsRel night"] > 0 and scores["values"]["rho smoke"] is not None
        assert scores["values"]["AbsRel night, re-trained"] not in (None, scores["values"]["AbsRel night"])
    trained = {folder.name for folder in (tmp_path / "out" / "depth").iterdir()}
    assert trained == {"mean-visible", "mean-infrared", "infrared-infrared"}
    assert "| mean |" in first.stdout and "nan" not in first.stdout.lower()
    before = (tmp_path / "out" / "tasks.json").stat().st_mtime_ns
    again = launch(repository, *words)
    assert again.returncode == 0 and again.stdout == first.stdout
    assert (tmp_path / "out" / "tasks.json").stat().st_mtime_ns == before
    other = launch(repository, *words, "train.batch=4")
    assert other.returncode == 2 and "rows of another protocol" in other.stderr


def test_what_is_true_of_each_pair(pool: Path, tmp_path: Path) -> None:
    """True masks are judged and give the boxes; a pair with a pseudo-mask has neither mask nor boxes from it."""
    benchmark = TaskBenchmark(pool, tmp_path, size=40, tasks=["segmentation", "detection"])
    root = benchmark._images("mean", load_method("mean").fuse)
    samples = {sample.name: sample for sample in benchmark._pairs(root)}
    true, pseudo = samples["msrs/FLIR_00006"], samples["roadscene/FLIR_00006"]
    assert true.image.shape == pseudo.image.shape == (1, 3, 40, 48)
    assert true.mask is not None and sorted(true.mask.unique().tolist()) == [0, 2, 5]
    assert pseudo.mask is None
    (box,), (other,) = true.boxes, pseudo.boxes
    assert box.label == other.label == 1  # a person; the car stop is no object to be detected
    assert box.score == 1.0 and other.score == 0.9
    assert box.xyxy == pytest.approx(other.xyxy, abs=2.0)
    # the training reads both, each by what it is
    data = DataConfig(root=str(root), datasets=["roadscene", "msrs"], crop=[32, 32])
    batch = collate([dataset[k] for dataset in [build_dataset(data, 0, True, masks=True)] for k in (0, 6)])
    assert batch["name"] == ["roadscene/FLIR_00000", "msrs/FLIR_00000"] and batch["mask_classes"].tolist() == [4, 9]


def test_one_network_judges_all_images_without_a_training(pool: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    SegmentationNetwork("msrs", "resnet18", {"channels": [8, 8, 8, 8]}, 8, 8).save_pretrained(tmp_path / "network")
    tables = {}
    for name, source in (("own", str(tmp_path / "network")), ("package", "embedded")):
        benchmark = TaskBenchmark(pool, tmp_path / name, size=64, segmenter=source, tasks=("segmentation",))
        assert f"segmentation by one network for all ({source})" in benchmark.protocol()
        tables[name] = benchmark.run(("visible", "mean")).cells()
        assert not (tmp_path / name / "segmentation").exists()  # nothing was trained
    assert tables["own"] != tables["package"]


def test_without_true_masks_nothing_is_judged(pool: Path, tmp_path: Path) -> None:
    root = tmp_path / "pool"
    shutil.copytree(pool, root)
    (root / "msrs" / "labels").rename(root / "msrs" / "object_mask")
    benchmark = TaskBenchmark(root, tmp_path / "out", size=40, tasks=["segmentation"])
    assert "judged on the 0 pairs with true masks (none)" in benchmark.protocol()
    folder = benchmark._images("mean", load_method("mean").fuse)
    assert all(sample.mask is None for sample in benchmark._pairs(folder))


def test_a_folder_without_data(run_script: Callable[..., Any], tmp_path: Path) -> None:
    words = ["--data", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--detector", "/nowhere"]
    result = run_script("benchmark.py", "tasks", *words)
    assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1
