from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ldfusion.commands.results import add_results, check_names
from ldfusion.errors import InputError, WorkError

FILES = [Path("one", "x.txt"), Path("two", "x.txt")]


def make(folder: Path) -> None:
    for file in FILES:
        (folder / file).write_text("new")


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_all_files_appear_and_nothing_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").mkdir()
    (tmp_path / ".x.partial" / "left by a killed run").write_text("")
    add_results(tmp_path, "x", FILES, make, overwrite=False)
    assert tree(tmp_path) == ["one/x.txt", "two/x.txt"]
    assert not (tmp_path / ".x.partial").exists()


def test_what_is_there_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x.txt").write_text("old")
    add_results(tmp_path, "x", FILES, make, overwrite=False)
    assert [(tmp_path / file).read_text() for file in FILES] == ["old", "new"]
    add_results(tmp_path, "x", FILES, make, overwrite=True)
    assert [(tmp_path / file).read_text() for file in FILES] == ["new", "new"]


def test_a_failure_leaves_nothing_and_names_the_final_path(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / FILES[0]).write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / FILES[1]))

    with pytest.raises(WorkError) as caught:
        add_results(tmp_path, "x", FILES, fail, overwrite=True)
    assert str(caught.value) == f"cannot write {tmp_path / FILES[1]}: No space left on device"
    assert tree(tmp_path) == []


def test_an_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a file in the way")
    with pytest.raises(WorkError, match="one"):
        add_results(tmp_path, "x", FILES, make, overwrite=True)
    assert tree(tmp_path) == ["one"]


def test_names_whose_results_collide_are_refused() -> None:
    check_names(["a", "b", "a_colour"])
    with pytest.raises(InputError, match="'a' and 'a_color'"):
        check_names(["b", "a_color", "a"])
