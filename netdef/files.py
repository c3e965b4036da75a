"""Where files are, and how they are written so that a kill at any moment loses nothing."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from netdef import leftovers
from netdef.errors import AbsentError, NetdefError

ROOM = 1 << 20
"""Bytes for what HDF5 writes beside the numbers."""


def finder(base: Path | None) -> Callable[[str], Path]:
    """A function from a name in a prototxt to the file: in the working directory, else beside the prototxt."""

    def find(name: str) -> Path:
        places = [Path(name), *([base / name] if base is not None else [])]
        for path in places:
            if path.exists():
                return path
        looked = " nor ".join(f"at {p}" for p in dict.fromkeys(str(p.absolute()) for p in places))
        raise AbsentError(f"no file '{name}': neither {looked}" if " nor " in looked else f"no file '{name}' {looked}")

    return find


def check_writable(prefix: Path) -> None:
    """Raises NetdefError, before any work is done, when no file can be made under a path prefix."""
    try:
        with tempfile.TemporaryFile(dir=prefix.parent):
            pass
    except OSError as e:
        hint = f"; make it first: mkdir -p {prefix.parent}" if not prefix.parent.exists() else ""
        raise NetdefError(f"cannot write snapshots as {prefix}_iter_*: {e.strerror or e}{hint}") from e


@contextlib.contextmanager
def replacing_path(path: Path | str) -> Iterator[Path]:
    """A new empty file beside `path`: renamed over it when the block ends well, removed when it does not.

    A process that is killed leaves it behind; the next one that writes in the folder removes it.
    """
    path = Path(path)
    leftovers.remove(path.parent)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=leftovers.PART)
        os.close(handle)
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e
    with leftovers.held(Path(name)) as part:
        try:
            yield part
            with part.open("rb") as f:
                os.fsync(f.fileno())
            os.chmod(part, 0o666 & ~_umask())
            os.replace(part, path)
        except OSError as e:
            raise NetdefError(f"cannot write {path}: {e.strerror or e}; what was there before is unchanged") from e
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """An open file that takes the place of `path` when the block ends well."""
    with replacing_path(path) as part, open(part, mode) as f:
        yield f


@contextlib.contextmanager
def hdf5_with_room(path: Path, size: int, locking: bool = True) -> Iterator[Any]:
    """An h5py.File to write `size` bytes more into, the empty file at `path` or one that is HDF5 already.

    It locks the file, unless that is a part, which is locked already.

    The room is taken first, since HDF5 ends the process where a disk has none; closing gives back what is left. Raises
    OSError where there is too little; the file is then as it was.
    """
    import h5py

    before = path.stat().st_size
    try:
        with path.open("ab") as f:
            f.write(b"" if before else _empty_hdf5())
            f.write(bytes(size + ROOM))
    except OSError:
        os.truncate(path, before)
        raise
    with h5py.File(path, "r+", locking=locking) as file:
        yield file


def _empty_hdf5() -> bytes:
    import h5py

    image = io.BytesIO()
    h5py.File(image, "w").close()
    return image.getvalue()


@contextlib.contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """A new folder beside `path`: renamed to it when the block ends well, removed with all in it when it does not.

    Raises NetdefError where something has that name already.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise NetdefError(f"{path} exists already; remove it first, or choose another name")
    leftovers.remove(path.parent)
    try:
        name = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=leftovers.PART)
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e
    with leftovers.held(Path(name)) as part:
        try:
            yield part
            os.chmod(part, 0o777 & ~_umask())
            os.rename(part, path)
        except OSError as e:
            raise NetdefError(f"cannot write {path}: {e.strerror or e}; nothing is left there") from e
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
