"""Store a trained network, or the mean of several runs of one, in half precision, as in ``ldfusion/weights``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Read the safetensors and ``config.json`` of each network, average and round their tensors, write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks", nargs="+", type=Path, help="folders that runs have left in their weights/; one twice counts twice"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="e.g. ldfusion/weights/seafusion")
    parser.add_argument("--share", nargs="+", type=float, help="how much each network counts; all the same by default")
    parser.add_argument(
        "--contrast", nargs=2, type=float, metavar=("GAIN", "DETAIL"), help="of a fusion decoder: see its adjust()"
    )
    args = parser.parse_args(argv)
    shares = args.share or [1.0] * len(args.networks)
    if len(shares) != len(args.networks) or min(shares) < 0 or sum(shares) == 0:
        print(
            f"embed: --share: {shares} for {len(args.networks)} networks; give one of at least 0 each", file=sys.stderr
        )
        return 2

    from safetensors.torch import load_file, save_file

    from ldfusion.fusion.decoder import FusionDecoder
    from ldfusion.io.files import atomic_write
    from ldfusion.training.start import mean_state

    for network in args.networks:
        file, config = network / "diffusion_pytorch_model.safetensors", network / "config.json"
        if not (file.is_file() and config.is_file()):
            print(
                f"embed: {network}: no {file.name} and config.json there; give the folder of one network",
                file=sys.stderr,
            )
            return 2
    states = [load_file(network / file.name) for network in args.networks]
    if any({k: v.shape for k, v in s.items()} != {k: v.shape for k, v in states[0].items()} for s in states):
        print("embed: these are different networks; give runs of one", file=sys.stderr)
        return 2
    mean = mean_state(states, shares)
    settings = json.loads(config.read_text(encoding="utf-8"))
    if args.contrast:
        if settings.get("_class_name") != FusionDecoder.__name__:
            print(f"embed: --contrast: {args.networks[0]} is no fusion decoder", file=sys.stderr)
            return 2
        decoder = FusionDecoder.from_config(settings)
        decoder.load_state_dict(mean)
        decoder.adjust(*args.contrast)
        mean = decoder.state_dict()
    state = {name: v.half().contiguous() if v.is_floating_point() else v for name, v in mean.items()}
    with atomic_write(args.output / file.name) as temporary:
        save_file(state, temporary, {"format": "pt"})
    settings.pop("_name_or_path", None)  # a path of the machine that trained it
    with atomic_write(args.output / config.name) as temporary:
        temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{args.output}: {(args.output / file.name).stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
