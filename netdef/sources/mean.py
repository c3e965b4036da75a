"""Mean images, as Caffe keeps them: a BlobProto in a file that is mostly named .binaryproto."""

from pathlib import Path

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.files import replacing
from netdef.weights.blobproto import read_blob, write_blob


def read_mean(path: Path) -> np.ndarray:
    """(channels, height, width), float32. Raises SourceError naming the file."""
    try:
        blob = read_blob(memoryview(path.read_bytes()), str(path))
    except OSError as e:
        raise SourceError(f"{path}: {e.strerror or e}") from None
    except NetdefError as e:
        raise SourceError(f"{path} is no mean image: {e}") from None
    shape = blob.shape[1:] if len(blob.shape) == 4 and blob.shape[0] == 1 else blob.shape
    if len(shape) != 3:
        raise SourceError(f"{path} has shape {blob.shape}; want (1, channels, height, width)")
    return np.asarray(blob.data.reshape(shape), np.float32)


def write_mean(path: Path | str, mean: np.ndarray) -> None:
    """A mean (channels, height, width) as (1, channels, height, width), all or nothing."""
    with replacing(path) as f:
        for piece in write_blob(np.asarray(mean, np.float32)[None]):
            f.write(piece)
