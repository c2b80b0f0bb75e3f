"""``python -m ldfusion.benchmarks``"""

from __future__ import annotations

import sys

from ldfusion.benchmarks import main

if __name__ == "__main__":
    sys.exit(main())
