"""Print the files that a command goes through, in the order in which their code first runs, for docs/TRACE.md.

    python scripts/trace.py ldfusion.cli fuse A.png B.png -o OUT
    python scripts/trace.py ldfusion.training --config tiny/denoiser data.root=DATA train.steps=1 output=RUN

Module bodies, class bodies and generated ``__init__`` methods do not count: importing a file is no step of the way.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
ROOMS = tuple(str(ROOT / room) for room in ("ldfusion", "depth", "captioning"))


def main(argv: list[str] | None = None) -> int:
    """Run the module with its words under a profiler; the files go to standard output after what it prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", help="what `python -m` would run")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="its command line")
    args = parser.parse_args(argv)
    visits: list[str] = []

    def watch(frame: FrameType, event: str, _arg: object) -> None:
        code = frame.f_code
        # the flag of a function that has locals of its own: a module's or a class's body has none
        if event == "call" and code.co_flags & 0x02 and code.co_filename.startswith(ROOMS):
            file = str(Path(code.co_filename).relative_to(ROOT))
            if not visits or visits[-1] != file:
                visits.append(file)

    sys.argv = [args.module, *args.words]
    sys.setprofile(watch)
    try:
        runpy.run_module(args.module, run_name="__main__")
    except SystemExit:
        pass
    finally:
        sys.setprofile(None)
    first = dict.fromkeys(visits)
    print("\n".join(f"{number:3d}  {file}" for number, file in enumerate(first, 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
