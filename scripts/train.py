"""Train one stage: ``accelerate launch scripts/train.py --config configs/fusion.yaml data.root=PATH optim.lr=1e-4``"""

from __future__ import annotations

import sys

from ldfusion.training.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
