"""Images as OpenCV reads and resizes them: BGR, rows from the top, uint8. OpenCV itself comes with an extra."""

import sys
from typing import Any

import numpy as np

from netdef.errors import SourceError

NATIVE, GRAY, COLOUR = "native", "gray", "colour"
"""How many channels to decode to: those of the file, 1, or 3."""


def cv2() -> Any:
    """OpenCV. Raises SourceError with the command that installs it.

    Its own warnings, which name no file, are off unless the program used it before.
    """
    first = "cv2" not in sys.modules
    try:
        import cv2 as module
    except ImportError as e:
        raise SourceError(f'images need OpenCV: pip install "netdef-nn[images]" ({e})') from None
    if first:
        module.utils.logging.setLogLevel(module.utils.logging.LOG_LEVEL_ERROR)
    return module


def decode(data: Any, channels: str = NATIVE) -> np.ndarray:
    """An image file's bytes as (channels, height, width), uint8. Raises SourceError for what cannot be decoded.

    A JPEG that ends before its end marker is refused, where OpenCV would fill the rest with gray.
    """
    cv = cv2()
    modes = {NATIVE: cv.IMREAD_UNCHANGED, GRAY: cv.IMREAD_GRAYSCALE, COLOUR: cv.IMREAD_COLOR}
    buffer = np.frombuffer(data, np.uint8)
    try:
        image = cv.imdecode(buffer, modes[channels]) if buffer.size else None
    except cv.error as e:
        raise SourceError(f"cannot be decoded as an image: {str(e).strip()}") from None
    if image is None or _cut_short(data):
        what = f"its {buffer.size:,} bytes are cut short" if image is not None else f"{buffer.size:,} bytes"
        raise SourceError(f"cannot be decoded as an image ({what})")
    if image.dtype != np.uint8:
        raise SourceError(f"is an image of {image.dtype}; want 8 bits a channel")
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


def _cut_short(data: Any) -> bool:
    """Whether a JPEG has no end marker after its last scan; neither marker can occur within one."""
    data = bytes(data)
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def resize(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """(channels, height, width) to another height and width, bilinear, as cv::resize does it."""
    if x.shape[1:] == (height, width):
        return x
    hwc = cv2().resize(np.ascontiguousarray(x.transpose(1, 2, 0)), (width, height))
    return hwc[None] if hwc.ndim == 2 else hwc.transpose(2, 0, 1)


def encode(x: np.ndarray, kind: str) -> bytes:
    """The bytes of an image file of a kind that OpenCV knows ("jpg", "png"); x is (1 or 3, height, width), uint8."""
    hwc = np.ascontiguousarray(x.transpose(1, 2, 0))
    cv = cv2()
    try:
        return bytes(cv.imencode(f".{kind.lstrip('.')}", hwc)[1])
    except cv.error:
        raise SourceError(f"cannot encode images as '{kind}'; want jpg or png") from None
