from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ldfusion.config import DataConfig, Experiment, TrainConfig, check_arguments, dump, nearest
from ldfusion.errors import InputError
from ldfusion.recipes import load, shipped
from ldfusion.registry import STAGES

ROOT = Path(__file__).resolve().parents[1]
RECIPES = [file for file in sorted(ROOT.glob("configs/**/*.yaml")) if file.parent.name != "accelerate"]


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    return file


def refused(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text), overrides)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(tmp_path))
    return message


def test_a_file_holds_only_what_it_changes(tmp_path: Path) -> None:
    experiment = load(write(tmp_path, "stage: denoiser\noptim: {lr: 1e-3}\nmodel: {channels: [8, 16]}\n"))
    assert experiment.stage == "denoiser"
    assert experiment.optim.lr == 1e-3
    assert experiment.model == {"channels": [8, 16]}
    assert experiment.train == TrainConfig()
    assert experiment.data == DataConfig()


def test_overrides_win_and_take_the_types_of_the_fields(tmp_path: Path) -> None:
    file = write(tmp_path, "stage: denoiser\ndata: {root: /a}\n")
    words = ("data.root=/b c", "optim.lr=2e-4", "data.crop=[32,64]", "model.groups=4", "train.resume=false", "seed=7")
    experiment = load(file, words)
    assert experiment.data.root == "/b c"
    assert experiment.optim.lr == 2e-4
    assert experiment.data.crop == [32, 64]
    assert experiment.model == {"groups": 4}
    assert experiment.train.resume is False
    assert experiment.seed == 7


def test_an_override_with_nothing_behind_the_sign_empties_a_text(tmp_path: Path) -> None:
    assert load(write(tmp_path, "data: {captions: a.jsonl}"), ["data.captions="]).data.captions == ""


def test_dump_comes_back_as_the_same_experiment(tmp_path: Path) -> None:
    first = load(write(tmp_path, "stage: text\nmodel: {text: {width: 8}}\n"), ["train.steps=5"])
    assert load(write(tmp_path, yaml.safe_dump(dump(first)))) == first


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("satge: denoiser", (), "unknown key 'satge'; did you mean 'stage'?"),
        ("train: {stesp: 3}", (), "section 'train': unknown key 'stesp'; did you mean 'steps'?"),
        ("stage: x", ("optim.leraning=1",), "section 'optim': unknown key 'leraning'"),
        ("stage: x", ("trian.steps=4",), "unknown key 'trian'; did you mean 'train'?"),
        ("qqqqqq: 1", (), "known: data, loss, model, optim, output, sample, seed, stage, train"),
        ("1: 2", (), "unknown key '1'"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    tmp_path: Path, text: str, overrides: tuple[str, ...], expected: str
) -> None:
    assert expected in refused(tmp_path, text, *overrides)


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("optim: {lr: fast}", (), "optim.lr"),
        ("stage: x", ("train.steps=1.5",), "train.steps"),
        ("stage: x", ("train.steps=null",), "train.steps"),
        ("data: {crop: 64}", (), "data.crop"),
        ("data: {crop: [1.5, 2]}", (), "data.crop[0]"),
        ("data:", (), "section 'data' holds None"),
        ("stage: x", ("data=5",), "section 'data' holds 5"),
        ("model: 4", (), "key 'model'"),
        ("stage: x", ("data.crop.0=3",), "write lists whole"),
        ("stage: x", ("train",), "override 'train': write it as section.key=value"),
        ("stage: x", ("data.root=${nowhere}",), "nowhere"),
        ("[1, 2]", (), "a mapping of sections"),
        ("a: [", (), "not valid YAML"),
        ("stage: a\nstage: b", (), "duplicate key"),
        ("data: {root: !!python/object/apply:os.getcwd []}", (), "not valid YAML"),
    ],
)
def test_wrong_types_and_forms_are_one_clear_line(
    tmp_path: Path, text: str, overrides: tuple[str, ...], expected: str
) -> None:
    assert expected in refused(tmp_path, text, *overrides)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.crop=[64]", "two sizes"),
        ("data.crop=[0,64]", "two sizes"),
        ("data.scale=[1.4,0.6]", "[least, largest]"),
        ("data.flip=1.5", "a probability"),
        ("data.jitter=1", "below 1"),
        ("data.limit=-1", "0 or more"),
        ("data.workers=-1", "0 or more"),
        ("optim.lr=0", "above 0"),
        ("optim.betas=[0.9]", "two numbers"),
        ("optim.ema=1", "below 1"),
        ("optim.clip=-1", "0 or more"),
        ("optim.schedule=cosin", "did you mean 'cosine'?"),
        ("optim.precision=bf61", "did you mean 'bf16'?"),
        ("train.steps=0", "1 or more"),
        ("train.batch=0", "1 or more"),
        ("train.keep=0", "1 or more"),
        ("train.log_every=0", "1 or more"),
        ("train.checkpoint_every=-1", "0 or more"),
        ("train.accumulate=3", "a multiple of train.accumulate=3"),
        ("train.tracker=wandb", "unknown tracker 'wandb'"),
        ("seed=-1", "0 or more"),
    ],
)
def test_values_out_of_range_are_named(tmp_path: Path, word: str, expected: str) -> None:
    message = refused(tmp_path, "stage: denoiser", word)
    assert expected in message
    assert word.split("=", maxsplit=1)[0].rsplit(".", 1)[-1] in message


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such configuration file"):
        load(tmp_path / "none.yaml")
    file = tmp_path / "bytes.yaml"
    file.write_bytes(b"\xff\xfe\x00a: b")
    with pytest.raises(InputError, match="not valid YAML"):
        load(file)


def test_values_are_checked_in_python_too() -> None:
    with pytest.raises(InputError, match=r"data\.flip=2"):
        DataConfig(flip=2)
    with pytest.raises(InputError, match="seed=-3"):
        Experiment(seed=-3)


def test_nearest_lists_what_is_known_when_nothing_is_near() -> None:
    assert nearest("cosin", ["linear", "cosine"]) == "did you mean 'cosine'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"


def test_arguments_of_a_free_section_are_checked() -> None:
    def build(widths: int, *, depth: int = 1, **kwargs: Any) -> None: ...

    check_arguments(build, {"widths": 1, "depth": 2}, "model")
    with pytest.raises(InputError, match="model: unknown key 'width'; did you mean 'widths'"):
        check_arguments(build, {"width": 1}, "model")


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_recipe_loads_and_starts_with_its_command(file: Path) -> None:
    experiment = load(file)
    assert experiment.stage in STAGES
    assert experiment.output.startswith("runs/")
    header = [line for line in file.read_text().splitlines() if line.startswith("#")]
    named = (f"--config {file.relative_to(ROOT)} ", f"--config {file.stem} ")
    assert any(name in line for line in header for name in named)


def test_there_is_a_tiny_recipe_for_every_stage() -> None:
    tiny = {load(file).stage for file in RECIPES if file.parent.name == "tiny"}
    assert tiny == set(STAGES)


@pytest.mark.parametrize("name", ["cpu", "single-gpu", "multi-gpu"])
def test_accelerate_understands_its_files(name: str, repository: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(repository / "configs" / "accelerate" / f"{name}.yaml"))
    assert config.use_cpu is (name == "cpu")
    assert str(config.distributed_type).endswith("MULTI_GPU" if name == "multi-gpu" else "NO")


def test_a_shipped_configuration_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("fusion", "fusion.yaml", "configs/fusion.yaml", "tiny/fusion"):
        assert load(name).stage == "fusion"
    assert set(shipped()) == {str(file.relative_to(ROOT / "configs").with_suffix("")) for file in RECIPES}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "fusion.yaml").write_text("stage: text\n")
    assert load("configs/fusion.yaml").stage == "text"  # a file that is there comes first
    with pytest.raises(InputError, match="no shipped one; did you mean 'seafusion'"):
        load("configs/seafusions.yaml")
