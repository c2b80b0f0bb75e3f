"""Registration: bringing an infrared image onto the pixel grid of the visible one.

A method is a `Registrar` made by `load_registrar`; what it returns is a `ldfusion.types.Registration`, and
`ldfusion.registration.warp` applies it. Warps are backward, ``align_corners=True``, displacements are (x, y) in pixels.
"""

from ldfusion.registration.methods import Registrar, load_registrar, settle
from ldfusion.types import Registration

__all__ = ["Registrar", "Registration", "load_registrar", "settle"]
