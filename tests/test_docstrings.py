"""What ruff's pydocstyle rules do not see: public functions say which shapes they take and which errors they raise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHAPE = re.compile(r"\([^()]*\b[A-Za-z0-9]+, ?[^()]*\)|\((B|N|H|K|L),?\)|shape|scalar|See `|see `|as `")
"""A shape in brackets, a word for it, or the function whose shapes they are."""
ARRAYS = re.compile(r"\b(Tensor|NDArray)\b")
ERRORS = ("InputError", "WorkError", "ValueError")


def functions(tree: ast.AST, about: str = "") -> Iterator[tuple[ast.FunctionDef, str]]:
    """Every public function and method, with the docstrings of what it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node, f"{about}\n{ast.get_docstring(node) or ''}")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, about


def public() -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Place, function and the docstrings around it, of all three packages."""
    for package in ("ldfusion", "depth", "captioning"):
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node, about in functions(tree, ast.get_docstring(tree) or ""):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node, about


def raised(function: ast.FunctionDef) -> set[str]:
    """The errors that a function raises itself."""
    calls = [
        node.exc.func for node in ast.walk(function) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    return {call.id for call in calls if isinstance(call, ast.Name)} & set(ERRORS)


def test_errors_are_documented_where_they_are_raised() -> None:
    places = [(place, raised(node), ast.get_docstring(node) or "") for place, node, _ in public()]
    raising = [place for place in places if place[1]]
    assert len(raising) > 140
    silent = [place for place, _, own in raising if not re.search(r"\bRaises?\b", own)]
    assert silent == []


def test_shapes_of_arrays_are_documented() -> None:
    silent, count = [], 0
    for place, node, about in public():
        arguments = [a.annotation for a in (*node.args.args, *node.args.kwonlyargs)]
        if any(note is not None and ARRAYS.search(ast.unparse(note)) for note in (*arguments, node.returns)):
            count += 1
            if not SHAPE.search((ast.get_docstring(node) or "") + about):
                silent.append(place)
    assert count > 400
    assert silent == []
