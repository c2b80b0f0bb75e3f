"""Regenerate the published tables; ``--help`` lists them."""

from __future__ import annotations

import sys

from ldfusion.benchmarks import main

if __name__ == "__main__":
    sys.exit(main())
