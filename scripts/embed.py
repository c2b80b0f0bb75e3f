"""Store one trained network in half precision: what the folders of ``ldfusion/weights`` hold."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Read the safetensors and ``config.json`` of a network, round its floating-point tensors, write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="folder that a run has left in its weights/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="e.g. ldfusion/weights/seafusion")
    args = parser.parse_args(argv)

    from safetensors.torch import load_file, save_file

    from ldfusion.io.files import atomic_write

    file, config = args.network / "diffusion_pytorch_model.safetensors", args.network / "config.json"
    if not (file.is_file() and config.is_file()):
        print(
            f"embed: {args.network}: no {file.name} and config.json there; give the folder of one network",
            file=sys.stderr,
        )
        return 2
    state = {name: value.half() if value.is_floating_point() else value for name, value in load_file(file).items()}
    with atomic_write(args.output / file.name) as temporary:
        save_file(state, temporary, {"format": "pt"})
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings.pop("_name_or_path", None)  # a path of the machine that trained it
    with atomic_write(args.output / config.name) as temporary:
        temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{args.output}: {(args.output / file.name).stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
