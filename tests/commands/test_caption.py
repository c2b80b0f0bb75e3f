from __future__ import annotations

import json
from pathlib import Path

import pytest

from ldfusion.cli import main


def words(pairs: Path, weights: str, name: str = "", *more: str) -> list[str]:
    sides = [str(pairs / side / name) for side in ("visible", "infrared")]
    return ["caption", *sides, "--weights", weights, "--device", "cpu", *more]


def test_one_pair_gives_its_sentence(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(pairs, weights, "a.png")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.strip() and out.count("\n") == 1


def test_a_folder_as_json(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(pairs, weights)) == 0
    plain = capsys.readouterr().out.splitlines()
    assert main(words(pairs, weights, "", "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["a", "b", "c"]
    assert [f"{line['name']}: {line['caption']}" for line in lines] == plain
    assert all("light" in line["facts"] for line in lines)


def test_a_bad_pair_costs_a_line(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs / "infrared" / "b.png").write_bytes(b"")
    assert main(words(pairs, weights)) == 1
    out, err = capsys.readouterr()
    assert [line[:3] for line in out.splitlines()] == ["a: ", "c: "]
    assert err.count("\n") == 1 and str(pairs / "infrared" / "b.png") in err
