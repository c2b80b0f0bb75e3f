"""Pictures to a browser on this computer, as a page of motion JPEG: a window for machines that have none."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import WorkError

QUALITY = 90
_BOUNDARY = "picture"


class PictureServer:
    """Shows the newest picture to every browser that asks; a context manager.

    Args:
        port: of 127.0.0.1; 0: any free one.

    Attributes:
        address: of the page.

    Raises:
        WorkError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._changed = threading.Condition()
        self._picture: bytes = b""
        self._number = 0
        self._closed = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self.end_headers()
                seen = 0
                try:
                    while (found := owner._next(seen)) is not None:
                        seen, picture = found
                        head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                        self.wfile.write(head.encode() + picture + b"\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    return

            def log_message(self, *words: object) -> None:
                """Nothing."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise WorkError(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from error
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> PictureServer:
        threading.Thread(target=self._server.serve_forever, name="pictures", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture, (H, W, 3) uint8 RGB."""
        _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with self._changed:
            self._picture, self._number = code.tobytes(), self._number + 1
            self._changed.notify_all()

    def _next(self, seen: int) -> tuple[int, bytes] | None:
        """The number and the bytes of a picture newer than ``seen``; None at the end."""
        with self._changed:
            while self._number == seen and not self._closed:
                self._changed.wait()
            return None if self._closed else (self._number, self._picture)
