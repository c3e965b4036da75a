"""A net from a file, for the commands that take one; a solver given in its place is told from it."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdef.cli import flags
from netdef.cli.failure import say
from netdef.errors import PrototxtError

if TYPE_CHECKING:
    from netdef.net import Net
    from netdef.registry import Registry

_KINDS = {
    "solver": re.compile(r"^\s*(?:net|train_net|base_lr|lr_policy|max_iter|snapshot_prefix)\s*:", re.MULTILINE),
    "net": re.compile(r"^\s*(?:layers?\s*\{|input\s*:)", re.MULTILINE),
}
_OTHER = {
    "solver": "this is a net; want a solver, which names its net",
    "net": "this is a solver; want the net that it names",
}


@contextlib.contextmanager
def expecting(kind: str, path: str) -> Iterator[None]:
    """An error about reading a "net" or a "solver" says so where the file is the other kind."""
    try:
        yield
    except PrototxtError as e:
        if looks_like(path) not in ("", kind):
            raise PrototxtError(f"{path}: {_OTHER[kind]}") from e
        raise


def looks_like(path: str) -> str:
    """ "net", "solver", or "" where the settings in the text do not tell."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return ""
    found = [kind for kind, pattern in _KINDS.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else ""


def read_net(path: str, registry: "Registry", ignored: list[str] | None = None, strict: bool = False) -> Any:
    """The NetParameter of a file as it was written, not yet upgraded; not for training."""
    from netdef import prototxt

    with expecting("net", path):
        message, types = registry.schema.message("NetParameter"), registry.names("layers")
        return prototxt.read(path, message, strict=strict, ignored=ignored, training=False, types=types)


def build(path: str, registry: "Registry", phase: int, level: int, stages: Sequence[str], **settings: Any) -> "Net":
    """The net of a file; `settings` go to Net."""
    from netdef.net import Net

    param = read_net(path, registry)
    return Net(param, phase, level, stages, registry=registry, base=Path(path).parent, **settings)


def load_weights(net: "Net", paths: Sequence[str]) -> None:
    """Copy weights from files into a net; a warning names the layers that none of them has."""
    from netdef import weights

    found = weights.load(net.layers, *paths)
    if found.at_filler:
        say(f"warning: {', '.join(paths)}: nothing for {', '.join(found.at_filler)}; left as their fillers made them")


def warn_of_inputs(net: "Net") -> None:
    """Say which inputs nobody fills, where a command runs a net on its own data."""
    if net.inputs:
        say(f"warning: no layer fills {', '.join(net.inputs)}, so that zeros go in; want a net with a data layer")


def weights_for(path: str, given: Sequence[str], otherwise: str = "") -> list[str]:
    """The weights given, else the best model that training left beside the net, where there is exactly one.

    Raises UsageError, which goes on with `otherwise`, for what else the user could do.
    """
    if given:
        return list(given)
    found = [p for p in Path(path).parent.glob("*_best.caffemodel*") if p.name.endswith((".caffemodel", ".h5"))]
    if len(found) != 1:
        raise flags.UsageError(f"no weights given; add --weights W.caffemodel{otherwise}")
    say(f"note: no --weights given; taking the best model of the last training, {found[0]}")
    return [str(found[0])]
