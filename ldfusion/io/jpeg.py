"""The segments of a JPEG file, where cameras keep what is no picture, and its missing end mark."""

from __future__ import annotations

from collections.abc import Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker (second byte) and payload of each segment before the picture's scan; ends at the first that is broken."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _BARE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _SCAN or length < 2 or position + 2 + length > len(data):
            return
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length


def joined(data: bytes, marker: int, prefix: bytes = b"", skip: int = 0) -> bytes:
    """Payloads of the segments of one marker that begin with ``prefix``, each without its first ``skip`` bytes."""
    return b"".join(body[skip:] for kind, body in segments(data) if kind == marker and body.startswith(prefix))
