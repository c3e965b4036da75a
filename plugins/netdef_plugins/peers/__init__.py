"""Other programs that can run the same nets, for `netdef time --against`; each is imported when it is asked for."""

from collections.abc import Sequence
from typing import Any

from netdef.errors import PluginError
from netdef.layer import hookimpl


def torch(net: Any, sources: Sequence[Sequence[tuple[int, int]]]) -> Any:
    """PyTorch in eager mode, which is never a dependency: whoever wants the comparison installs it."""
    try:
        import torch  # noqa: F401
    except ImportError as e:
        raise PluginError(f"--against torch needs PyTorch ({e}); to have it: pip install torch") from e
    from netdef_plugins.peers.torch_peer import Torch

    return Torch(net, sources)


@hookimpl
def netdef_peers() -> dict[str, Any]:
    return {"torch": torch}
