"""Put trained components together: one folder that ``LDFusionPipeline.from_pretrained`` and ``--weights`` take."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

COMPONENTS = ("denoiser", "decoder", "text_encoder", "depth_visible", "depth_infrared", "captioner")


def main(argv: list[str] | None = None) -> int:
    """Load every component, write the pipeline under a temporary name, rename it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in COMPONENTS:
        parser.add_argument(f"--{name.replace('_', '-')}", default="", help="folder (default: the embedded one)")
    parser.add_argument("--half", nargs="*", default=[], choices=COMPONENTS, help="components stored in half precision")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)

    import torch

    from ldfusion.errors import InputError
    from ldfusion.pipeline import LDFusionPipeline, load_component
    from ldfusion.weights import component_folder

    try:
        if args.output.exists():
            raise InputError(f"{args.output}: is there already; choose a new folder")
        parts: dict[str, Any] = {
            name: load_component(name, component_folder(name, getattr(args, name))) for name in COMPONENTS
        }
    except InputError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return error.exit_code
    pipe = LDFusionPipeline(**parts)
    for name in args.half:
        parts[name].to(torch.float16)
    temporary = args.output.with_name(f".{args.output.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    pipe.save_pretrained(temporary)
    for config in temporary.glob("*/config.json"):  # not the folders of the machine that trained them
        settings = json.loads(config.read_text(encoding="utf-8"))
        settings.pop("_name_or_path", None)
        config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, args.output)
    size = sum(f.stat().st_size for f in args.output.rglob("*.safetensors"))
    print(f"{args.output}: {size / 1e6:.1f} MB of weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
