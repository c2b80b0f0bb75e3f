from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ldfusion.errors import InputError, WorkError
from ldfusion.io.files import atomic_write, check_output_folder, output_folder, remove_leftovers


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_errors_are_one_line_and_know_their_exit_code() -> None:
    assert (InputError.exit_code, WorkError.exit_code) == (2, 1)
    assert str(InputError("bad\nfile")) == "bad file"


def test_atomic_write_replaces_only_on_success(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.npy"
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".npy"
        temporary.write_text("first")
        assert not target.exists()
    assert target.read_text() == "first"

    with pytest.raises(KeyboardInterrupt), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "first"
    assert os.listdir(target.parent) == ["result.npy"]
    mode = target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    assert mode == 0o666 & ~umask


def test_atomic_write_on_a_full_disk(tmp_path: Path, small_files: Callable[[], AbstractContextManager[int]]) -> None:
    target = tmp_path / "result.bin"
    target.write_bytes(b"kept")
    with (
        small_files(),
        pytest.raises(WorkError, match=r"cannot write .*result\.bin: File too large"),
        atomic_write(target) as temporary,
    ):
        temporary.write_bytes(bytes(5000))
    assert target.read_bytes() == b"kept"
    assert os.listdir(tmp_path) == ["result.bin"]


def test_atomic_write_names_no_space_left(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="No space left on device"), atomic_write(tmp_path / "result.bin"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == []


def test_atomic_write_passes_errors_of_other_files_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "result.bin"):
        (tmp_path / "missing input").read_bytes()


def test_atomic_write_where_nothing_can_be_written(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(WorkError, match="cannot write"), atomic_write(tmp_path / "file" / "result.png"):
        pass
    (tmp_path / "folder.png").mkdir()
    with (
        pytest.raises(WorkError, match=r"folder\.png: Is a directory"),
        atomic_write(tmp_path / "folder.png") as temporary,
    ):
        temporary.write_bytes(b"x")


def test_output_folder_is_made_and_left_clean(tmp_path: Path) -> None:
    folder = check_output_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert os.listdir(folder) == []


def test_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(InputError, match=r"file is a file; give a folder"):
        check_output_folder(tmp_path / "file")
    with pytest.raises(InputError, match="file; give a folder"):
        check_output_folder(tmp_path / "file" / "below")
    # /proc takes no file from anyone, root included.
    with pytest.raises(InputError, match=r"/proc/self cannot be written: .*; give another one"):
        check_output_folder("/proc/self")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_read_only_output_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        check_output_folder(tmp_path)
    tmp_path.chmod(0o700)


def test_an_output_folder_stays_if_something_is_in_it(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b") as folder:
        (folder / "kind").mkdir()
        (folder / "kind" / "x").write_bytes(b"x")
    assert (tmp_path / "a" / "b" / "kind" / "x").exists()


def test_what_a_failed_run_made_is_gone_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    for folder in (tmp_path / "a" / "b", tmp_path / "before", tmp_path / "before" / "c"):
        with pytest.raises(KeyError), output_folder(folder):
            raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["before"]


def test_leftovers_of_killed_runs(tmp_path: Path) -> None:
    hidden = "." + "0123456789abcdef" * 2
    kept = ["a.png", ".hidden", ".a.partial.mp4", "kind/a.tmp.png", ".other/" + hidden + ".tmp.png"]
    left = [f"{hidden}.tmp.png", f"kind/{hidden}.tmp.npy", ".a.partial/fused/a.png", ".a b.partial/b.png"]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)
    assert not list(tmp_path.glob("*.partial"))
