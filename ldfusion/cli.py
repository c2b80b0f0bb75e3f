"""The ``ldfusion`` command.

Each subcommand lives in one file of `ldfusion.commands`, which adds its arguments and runs it; heavy imports wait until
it runs, so that ``ldfusion --help`` answers at once. Exit codes: 0 all done, 1 some of the work could not be done,
2 wrong usage or unusable input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from ldfusion import __version__
from ldfusion.commands import (
    benchmark,
    caption,
    demo,
    depth,
    evaluate,
    export,
    frames,
    fuse,
    live,
    register,
    segment,
    video,
)
from ldfusion.commands.terminal import say
from ldfusion.errors import LDFusionError

COMMANDS = {
    "fuse": fuse,
    "register": register,
    "depth": depth,
    "caption": caption,
    "segment": segment,
    "evaluate": evaluate,
    "video": video,
    "frames": frames,
    "live": live,
    "export": export,
    "benchmark": benchmark,
    "demo": demo,
}
INTERRUPTED = 130


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        """One line on stderr, and exit status 2."""
        self.exit(2, f"ldfusion: error: {' '.join(message.split())} (see: {self.prog} --help)\n")


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command with its subcommands; those that ``words`` name know their arguments."""
    parser = OneLineParser(
        prog="ldfusion",
        description="Fuse a visible and an infrared image into one colour image, with its depth and a caption.",
        epilog="Folders are shared out over the processes of: accelerate launch -m ldfusion.cli COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"ldfusion {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary, _, details = (module.__doc__ or "").partition("\n")
        command = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:].rstrip("."),
            description=f"{summary}\n{details}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in words:
            module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


class _OneLineHandler(logging.Handler):
    """Prints what the library reports through `logging` in the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = "error: " if record.levelno >= logging.ERROR else ""
        say(kind + " ".join(record.getMessage().split()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: of this process) and return its exit code.

    Raises:
        SystemExit: for ``--help``, ``--version`` (code 0) and arguments that do not parse (code 2).
    """
    words = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(words).parse_args(words)
    log = logging.getLogger("ldfusion")
    handler = _OneLineHandler()
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            # Notes of the libraries below to their own developers are no help to whoever runs this command; what the
            # user should know about an image comes through `logging`. `python -W default` shows the notes.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return int(args.run(args))
    except LDFusionError as error:
        say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of standard output has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept")
        return INTERRUPTED
    finally:
        log.removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
