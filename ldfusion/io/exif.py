"""When, where and with what a picture was taken: carried over from a source to what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

_READERS: dict[bytes, Any] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG": PngImageFile,
    b"RIFF": WebPImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
}
_BASE = ("Make", "Model", "DateTime", "Artist", "Copyright", "ImageDescription")
_FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_LEFT_OUT = {
    ExifTags.Base.MakerNote,  # points into its own file
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
}
_LONGEST = 2000  # bytes of one value; longer ones are no description of a picture


def read_exif(path: str | Path) -> bytes:
    """The EXIF block of an image file with what stays true for a picture made of it, upright; empty where it has none.

    Kept are camera, time, exposure, author and position; left out are size, orientation, thumbnail and maker's notes.
    Nothing is raised for a block that is damaged: it is left out.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(4)
        reader = next((reader for magic, reader in _READERS.items() if head.startswith(magic)), None)
        if reader is None:
            return b""
        with reader(path) as image:
            found = image.getexif()
            kept = Image.Exif()
            for name in _BASE:
                tag = ExifTags.Base[name]
                if tag in found and _short(found[tag]):
                    kept[tag] = found[tag]
            for folder in _FOLDERS:
                inner = {tag: v for tag, v in found.get_ifd(folder).items() if tag not in _LEFT_OUT and _short(v)}
                if inner:
                    kept.get_ifd(folder).update(inner)
                    kept[folder] = inner
            return kept.tobytes() if len(kept) else b""
    except Exception:  # what is beside the picture must not cost the picture
        return b""


def _short(value: object) -> bool:
    return not isinstance(value, bytes | str) or len(value) <= _LONGEST
