"""MNIST and CIFAR-10 as their authors publish them: read from their files, fetched where the user asks for it."""

import gzip
import hashlib
import io
import struct
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from netdef.errors import SourceError
from netdef.files import replacing

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
CIFAR10 = "https://www.cs.toronto.edu/~kriz/"
CIFAR10_FILES = {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}
CIFAR10_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR10_RECORD = 1 + 3 * 32 * 32

Part = tuple[np.ndarray, np.ndarray]
"""Images (N, channels, height, width), uint8, and labels (N,)."""
Fetched = Callable[[int, int], None]
"""Called with the bytes that have come and those to come, 0 where the server does not say."""


def download(base: str, files: dict[str, str], folder: Path, fetched: Fetched = lambda done, total: None) -> None:
    """Fetch the files that the folder lacks. Raises SourceError, and keeps nothing, where a checksum (MD5) differs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, want in files.items():
        if (folder / name).exists():
            continue
        with replacing(folder / name) as f:
            found = _fetch(base + name, f, fetched)
            if found != want:
                raise SourceError(f"{base}{name} has checksum {found}; want {want}")


def _fetch(url: str, to: IO[bytes], fetched: Fetched) -> str:
    sums, done = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while piece := answer.read(1 << 18):
                to.write(piece)
                sums.update(piece)
                done += len(piece)
                fetched(done, total)
    except (OSError, ValueError) as e:
        reason = e if isinstance(e, urllib.error.HTTPError) else getattr(e, "reason", e)
        raise SourceError(f"cannot fetch {url}: {reason}; fetch it by other means and give its folder") from None
    return sums.hexdigest()


def read_mnist(folder: Path) -> dict[str, Part]:
    """ "train" and "test", (N, 1, 28, 28). Raises SourceError naming a file that is missing or damaged."""
    return {
        name: _same_count(
            _idx(folder, f"{stem}-images-idx3-ubyte", 3)[:, None], _idx(folder, f"{stem}-labels-idx1-ubyte", 1)
        )
        for name, stem in (("train", "train"), ("test", "t10k"))
    }


def _same_count(images: np.ndarray, labels: np.ndarray) -> Part:
    if len(images) != len(labels):
        raise SourceError(f"{len(images)} images, but {len(labels)} labels; the files do not belong together")
    return images, labels


def _idx(folder: Path, name: str, want: int) -> np.ndarray:
    """An array of bytes with so many axes in an IDX file, compressed or not, also named train-images.idx3-ubyte."""
    names = [name + end for name in (name, name.replace("-idx", ".idx")) for end in (".gz", "")]
    path = next((folder / n for n in names if (folder / n).is_file()), None)
    if path is None:
        raise SourceError(f"no file {names[0]} in {folder}, packed or not; --download fetches it")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, axes = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
        if zero or kind != 8:
            raise ValueError("not an IDX file of bytes")
        if axes != want:
            raise ValueError(f"an array of {axes} axes; want {want}")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as e:
        raise SourceError(f"{path} is damaged: {e}") from None


def read_cifar10(place: Path) -> dict[str, Part]:
    """ "train" and "test", (N, 3, 32, 32) in RGB, as published, which is also how Caffe's own tool leaves it.

    From the binary version: a folder of .bin files, or the archive, or a folder that holds either.
    """
    archive = place if place.is_file() else place / "cifar-10-binary.tar.gz"
    inside = place / "cifar-10-batches-bin"
    folder = inside if inside.is_dir() else place
    packed = archive.is_file() and not (folder / CIFAR10_TRAIN[0]).is_file()
    read = _archive(archive) if packed else _folder(folder)
    train = [_cifar_batch(name, read(name)) for name in CIFAR10_TRAIN]
    images, labels = zip(*train, strict=True)
    return {
        "train": (np.concatenate(images), np.concatenate(labels)),
        "test": _cifar_batch("test_batch.bin", read("test_batch.bin")),
    }


def _folder(folder: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as e:
            want = "want CIFAR-10's binary version; --download fetches it"
            raise SourceError(f"{folder / name}: {e.strerror or e}; {want}") from None

    return read


def _archive(path: Path) -> Callable[[str], bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            members = {Path(m.name).name: m for m in tar if m.isfile()}
            found = {n: f.read() for n, m in members.items() if n.endswith(".bin") and (f := tar.extractfile(m))}
    except (OSError, EOFError, tarfile.TarError) as e:
        reason = str(e).splitlines()[0].rstrip(":")
        raise SourceError(f"{path} cannot be read as an archive: {reason}") from None

    def read(name: str) -> bytes:
        if name not in found:
            raise SourceError(f"{path} holds no {name}; want CIFAR-10's binary version")
        return found[name]

    return read


def _cifar_batch(name: str, data: bytes) -> Part:
    if not data or len(data) % CIFAR10_RECORD:
        raise SourceError(f"{name} has {len(data)} bytes; want a multiple of {CIFAR10_RECORD}: label, then 3 x 32 x 32")
    rows = np.frombuffer(data, np.uint8).reshape(-1, CIFAR10_RECORD)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]
