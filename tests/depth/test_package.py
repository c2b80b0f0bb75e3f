from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import depth


def test_every_public_name_exists() -> None:
    assert all(getattr(depth, name) is not None for name in depth.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = depth.nothing


def test_imports_nothing_of_ldfusion_and_nothing_heavy_at_once() -> None:
    for path in Path(depth.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in modules if name.split(".")[0] == "ldfusion"], path
    subprocess.run([sys.executable, "-c", "import sys, depth; assert 'torch' not in sys.modules"], check=True)
