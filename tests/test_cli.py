from __future__ import annotations

import logging
import resource
import subprocess
import sys
import warnings

import pytest

import ldfusion
from ldfusion.cli import main
from ldfusion.commands import caption
from ldfusion.errors import InputError, WorkError


def launch(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ldfusion.cli", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def seconds() -> float:
    """What the programs launched so far took of a core: other programs on the machine do not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that a wrong command line gets."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.startswith("ldfusion: error: ")
    return err


def test_help_is_fast_and_names_every_command() -> None:
    start = seconds()
    done = launch("--help")
    assert seconds() - start < 2
    assert done.returncode == 0
    for command in ("fuse", "depth", "caption", "evaluate", "frames", "demo"):
        assert f"\n    {command} " in done.stdout


def test_the_package_is_imported_without_the_heavy_libraries() -> None:
    heavy = {"torch", "diffusers", "transformers", "PIL", "numpy"}
    code = f"import sys, ldfusion.cli; print(*sorted({heavy} & set(sys.modules)))"
    start = seconds()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seconds() - start < 1
    assert done.stdout.strip() == ""


def test_a_launched_command_ends_with_its_exit_code() -> None:
    done = launch("caption", "no such.png", "nor this.png")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "ldfusion: error: no such.png: no such file or folder\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"ldfusion {ldfusion.__version__}\n"


@pytest.mark.parametrize("command", ["fuse", "depth", "caption", "evaluate", "demo"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: ldfusion {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "COMMAND"),
        (["fuze"], "fuze"),
        (["fuse", "a", "b"], "-o/--output"),
        (["fuse", "a"], "-o/--output"),
        (["fuse", "a", "b", "-o", "c", "--method", "magic"], "magic"),
        (["fuse", "a", "b", "-o", "c", "--method", "alpha", "--alpha", "2"], "a weight from 0 to 1"),
        (["fuse", "a", "b", "-o", "c", "--device", "tpu"], "tpu"),
        (["fuse", "a", "b", "-o", "c", "--timesteps", "5,x"], "5,50,100"),
        (["fuse", "a", "b", "-o", "c", "--timesteps=-5"], "5,50,100"),
        (["fuse", "a", "b", "-o", "c", "--seed=-1"], "'-1'"),
        (["fuse", "a", "b", "-o", "c", "--seed", "one"], "'one'"),
        (["fuse", "a", "b", "-o", "c", "--prompt", ""], "empty"),
        (["fuse", "a", "b", "-o", "c", "--prompt", "caf\udce9"], "is not UTF-8 text"),
        (["depth", "a", "-o", "c", "--modality", "radar"], "radar"),
        (["depth", "a", "-o", "c", "--point-cloud", "--fov", "180"], "between 0 and 180"),
        (["evaluate", "--fused", "a"], "--visible"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in refused(capsys, *words)


def test_lazy_names_and_unknown_ones() -> None:
    assert set(dir(ldfusion)) == {"FusionOutput", "LDFusionPipeline", "__version__", "load_pair"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ldfusion.nothing


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("bad\nimage"), 2, "ldfusion: error: bad image\n"),
        (WorkError("no room"), 1, "ldfusion: error: no room\n"),
        (KeyboardInterrupt(), 130, "ldfusion: interrupted; what was finished is kept\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(caption, "run", fail)
    assert main(["caption", "a", "b"]) == code
    assert capsys.readouterr().err == line


def test_remarks_of_the_library_are_shown_and_warnings_for_developers_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def remark(args: object) -> int:
        logging.getLogger("ldfusion.io").warning("aspect of %s\ndiffers", "a.png")
        warnings.warn("old call", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(caption, "run", remark)
    monkeypatch.setattr(sys, "warnoptions", [])
    assert main(["caption", "a", "b"]) == 0
    assert capsys.readouterr().err == "ldfusion: aspect of a.png differs\n"
