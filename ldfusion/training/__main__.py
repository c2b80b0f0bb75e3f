"""Train one stage: ``accelerate launch -m ldfusion.training --config fusion data.root=PATH optim.lr=1e-4``"""

from __future__ import annotations

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    """Parse, load the configuration, train, print the last validation's figures."""
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument(
        "--config",
        required=True,
        action="append",
        help="file, or name of a shipped one, with all its phases; several in turn",
    )
    parser.add_argument("overrides", nargs="*", help="section.key=value, e.g. data.root=PATH train.steps=2000")
    args = parser.parse_intermixed_args(argv)

    from ldfusion.errors import InputError, WorkError
    from ldfusion.recipes import load_phases

    try:
        experiments = [e for config in args.config for e in load_phases(config, args.overrides)]
        from ldfusion.training.loop import train, train_once

        for experiment in experiments[:-1]:
            train_once(experiment)
        figures = train(experiments[-1])
    except (InputError, WorkError) as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
