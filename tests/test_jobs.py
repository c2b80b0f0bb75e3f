from __future__ import annotations

import errno
from pathlib import Path

import pytest

from depth.files import depth_files
from ldfusion.errors import InputError, WorkError
from ldfusion.io.records import RecordLog
from ldfusion.jobs import Job, Result, Tally, write_outputs

FILES = [Path("one", "x.txt"), Path("two", "x.txt")]


def make(folder: Path) -> None:
    for file in FILES:
        (folder / file).write_text("new")


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_all_files_appear_and_nothing_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").mkdir()
    (tmp_path / ".x.partial" / "left by a killed run").write_text("")
    write_outputs(tmp_path, "x", FILES, make, overwrite=False)
    assert tree(tmp_path) == ["one/x.txt", "two/x.txt"]
    assert not (tmp_path / ".x.partial").exists()


def test_what_is_there_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x.txt").write_text("old")
    write_outputs(tmp_path, "x", FILES, make, overwrite=False)
    assert [(tmp_path / file).read_text() for file in FILES] == ["old", "new"]
    write_outputs(tmp_path, "x", FILES, make, overwrite=True)
    assert [(tmp_path / file).read_text() for file in FILES] == ["new", "new"]


def test_a_failure_leaves_nothing_and_names_the_final_path(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / FILES[0]).write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / FILES[1]))

    with pytest.raises(WorkError) as caught:
        write_outputs(tmp_path, "x", FILES, fail, overwrite=True)
    assert str(caught.value) == f"cannot write {tmp_path / FILES[1]}: No space left on device"
    assert tree(tmp_path) == []


def test_an_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a file in the way")
    with pytest.raises(WorkError, match="one"):
        write_outputs(tmp_path, "x", FILES, make, overwrite=True)
    assert tree(tmp_path) == ["one"]


def test_names_whose_results_collide_are_refused() -> None:
    Job(dict.fromkeys(["a", "b", "a_colour"]), outputs=depth_files).check()
    with pytest.raises(InputError, match=r"'a' and 'a_color'.*: a_color\.png would be a result of both"):
        Job(dict.fromkeys(["b", "a_color", "a"]), outputs=depth_files).check()


def outputs(name: str) -> list[Path]:
    return [Path(f"{name}.txt")]


def test_a_job_does_what_is_missing_and_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    seen = []

    def work(name: str, item: int) -> Result:
        seen.append((name, item))
        if name == "bad":
            raise InputError("bad.png: no image")
        if name == "huge":
            raise MemoryError("40 GB")
        return Result(lambda folder: (folder / f"{name}.txt").write_text(str(item)), flawed=name == "doubtful")

    items = {"bad": 1, "doubtful": 2, "huge": 3, "good": 4, "kept": 5}
    tally = Job(items, root=tmp_path, outputs=outputs).run(lambda: work)
    assert tally == Tally(done=2, kept=1, failed=2, flawed=1) and tally.exit_code == 1
    assert seen == [("bad", 1), ("doubtful", 2), ("huge", 3), ("good", 4)]
    assert [record.getMessage() for record in caplog.records] == [
        "bad.png: no image",
        "out of memory at pair huge: 40 GB",
    ]
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "doubtful.txt": "2",
        "good.txt": "4",
        "kept.txt": "mine",
    }
    words = tally.words("2 done", "1 doubtful")
    assert words == "2 done, 1 kept from before (--overwrite makes them anew), 1 doubtful, 2 failed"


def test_nothing_is_loaded_for_nothing(tmp_path: Path) -> None:
    def load() -> None:
        raise AssertionError("there is nothing to do")

    (tmp_path / "a.txt").write_text("")
    assert Job({"a": 1}, root=tmp_path, outputs=outputs).run(load) == Tally(kept=1)


def test_a_full_disk_ends_the_job(caplog: pytest.LogCaptureFixture) -> None:
    def work(name: str, item: int) -> Result:
        if item == 2:
            raise WorkError("cannot write b: No space left on device")
        return Result()

    assert Job({"a": 1, "b": 2, "c": 3}, unit="image").run(lambda: work) == Tally(done=1, failed=2)
    assert caplog.messages == ["cannot write b: No space left on device; stopped, 2 images are not done"]


def test_an_item_without_its_record_is_done_again(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "log.jsonl")
    log.add({"name": "a", "by": "an earlier run"})
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("old")
    (tmp_path / "c.txt").unlink()
    log.add({"name": "c", "by": "an earlier run"})

    def work(name: str, item: int) -> Result:
        return Result(
            lambda folder: (folder / f"{name}.txt").write_text("new"), record={"name": name, "by": "this one"}
        )

    items = dict.fromkeys("abc", 0)
    assert Job(items, root=tmp_path, outputs=outputs, log=log).run(lambda: work) == Tally(done=2, kept=1)
    assert {name: record["by"] for name, record in log.records().items()} == {
        "a": "an earlier run",
        "b": "this one",
        "c": "an earlier run",
    }
    assert [(tmp_path / f"{name}.txt").read_text() for name in "abc"] == ["old", "old", "new"]
    assert Job(items, root=tmp_path, outputs=outputs, overwrite=True, log=log).run(lambda: work) == Tally(done=3)
    assert {record["by"] for record in log.records().values()} == {"this one"}
