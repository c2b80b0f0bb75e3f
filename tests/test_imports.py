"""The rooms of the package: imports run one way, and never in circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TIERS = (
    {"errors"},
    {"config", "types", "weights", "registry"},
    {"recipes"},
    {"io"},
    {"rendering", "onnx", "overlap"},
    {"jobs"},
    {"data"},
    {"output", "detection", "diffusion", "language", "segmentation"},
    {"registration"},
    {"fusion", "loading"},
    {"pipeline", "evaluation"},
    {"training"},
    {"benchmarks", "export"},
    {"commands"},
    {"cli"},
)
"""Rooms from the bottom to the top; one imports those below it, ``config`` also within its tier."""
FREE = {("registry", "config")}
RENDERING = (
    {"rendering.world"},
    {"rendering.street", "rendering.room", "rendering.sensor"},
    {"rendering.truth"},
    {"rendering.scene"},
    {"rendering.dataset", "rendering.files"},
    {"rendering"},
)
"""The same within the room of the rendered scenes."""


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for file in (ROOT / package).rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules that a module imports anywhere in it, also within functions; not those for type checkers alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in for_types:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def graph() -> dict[str, set[str]]:
    known = modules("ldfusion")
    return {name: {other for other in imports(name, file, known) if other in known} for name, file in known.items()}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_room_has_its_place() -> None:
    assert {room(name) for name in graph()} - {""} == set().union(*TIERS)


def test_imports_run_down() -> None:
    height = {name: number for number, tier in enumerate(TIERS) for name in tier}
    wrong = [
        f"{name} -> {other}"
        for name, others in graph().items()
        for other in others
        if room(name) and room(other) and room(name) != room(other) and (room(name), room(other)) not in FREE
        if height[room(other)] >= height[room(name)]
    ]
    assert wrong == []


def test_imports_run_down_in_the_rendered_scenes() -> None:
    height = {name: number for number, tier in enumerate(RENDERING) for name in tier}

    def place(name: str) -> str:
        return ".".join(name.split(".")[1:3])

    inside = [(name, other) for name, others in graph().items() for other in others if room(name) == "rendering"]
    wrong = [
        f"{name} -> {other}"
        for name, other in inside
        if room(other) == "rendering" and place(name) != place(other) and height[place(other)] >= height[place(name)]
    ]
    assert len(inside) > 60 and wrong == []


def test_there_are_no_circles() -> None:
    edges = graph()
    reached: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        seen, todo = set(), list(edges[name])
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += edges[other]
        return seen

    reached = {name: reach(name) for name in edges}
    assert [name for name, others in reached.items() if name in others] == []


@pytest.mark.parametrize("package", ["depth", "captioning"])
def test_what_can_be_used_alone_imports_nothing_of_the_rest(package: str) -> None:
    known = modules(package)
    used = {other.split(".")[0] for name, file in known.items() for other in imports(name, file, known)}
    assert not used & ({"ldfusion", "depth", "captioning"} - {package})
