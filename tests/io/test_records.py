from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ldfusion.errors import WorkError
from ldfusion.io.records import RecordLog

CAPTIONS = "captions.jsonl"


def line(name: str, caption: str = "a street") -> dict[str, str]:
    return {"name": name, "caption": caption}


def read(root: Path) -> list[dict[str, str]]:
    return [json.loads(text) for text in (root / CAPTIONS).read_text(encoding="utf-8").splitlines()]


def test_parts_of_all_processes_are_merged_by_name(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / CAPTIONS)
    log.add(line("c"))
    log.add(line("a", "una calle de noche, señal"), rank=1)
    log.add(line("b"), rank=1)
    assert sorted(log.records()) == ["a", "b", "c"]
    log.merge()
    assert [found["name"] for found in read(tmp_path)] == ["a", "b", "c"]
    assert read(tmp_path)[0]["caption"] == "una calle de noche, señal"
    assert [file.name for file in tmp_path.iterdir()] == [CAPTIONS]
    assert list(log.records()) == ["a", "b", "c"]
    log.add({"name": "b", "method": "mean"})
    assert log.records()["b"] == {"name": "b", "method": "mean"}
    log.merge()
    assert log.records()["b"] == {"name": "b", "method": "mean"}


def test_a_newer_line_replaces_the_older_one(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / CAPTIONS)
    log.add(line("a", "old"))
    log.add(line("b", "kept"))
    log.merge()
    log.add(line("a", "new"))
    log.merge()
    assert read(tmp_path) == [line("a", "new"), line("b", "kept")]


def test_without_parts_the_file_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / CAPTIONS).write_text("not ours\n")
    RecordLog(tmp_path / CAPTIONS).merge()
    assert (tmp_path / CAPTIONS).read_text() == "not ours\n"


def test_a_line_cut_off_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / CAPTIONS)
    log.add(line("a"))
    with (tmp_path / ".captions-0.jsonl").open("a") as part:
        part.write('{"name": "b", "capt')
    log.merge()
    assert read(tmp_path) == [line("a")]


def test_a_full_disk_leaves_no_half_line(
    tmp_path: Path, small_files: Callable[[], AbstractContextManager[int]]
) -> None:
    log = RecordLog(tmp_path / CAPTIONS)
    log.add(line("a"))
    with small_files() as limit, pytest.raises(WorkError, match=r"cannot write .*captions\.jsonl"):
        log.add(line("b", "too long for what is left " * limit))
    assert (tmp_path / ".captions-0.jsonl").read_text() == json.dumps(line("a")) + "\n"
