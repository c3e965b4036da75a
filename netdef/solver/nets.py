"""The nets of a solver: one to train, any number to test, all from the solver's settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from netdef import read
from netdef.errors import SolverError
from netdef.files import finder
from netdef.layer import TEST, TRAIN
from netdef.net import Net
from netdef.registry import Registry

NetOf = Callable[[Any, Path | None, int, Any], Net]
"""(net message, folder of its files, phase, NetState or None) -> the net"""


def train_net(param: Any, base: Path | None, registry: Registry, build: NetOf) -> Net:
    """From net, net_param, train_net or train_net_param: exactly one."""
    given = [f for f in ("train_net_param", "train_net", "net_param", "net") if param.HasField(f)]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise SolverError(f"a solver names one net to train: net, net_param, train_net or train_net_param; got {found}")
    return build(*_message(getattr(param, given[0]), base, registry), TRAIN, param.train_state)


def test_nets(param: Any, base: Path | None, registry: Registry, build: NetOf) -> list[Net]:
    """test_net_param, then test_net, then as many of the common net as test_iter is longer, as in Caffe."""
    nets: list[Any] = [*param.test_net_param, *param.test_net]
    common = [getattr(param, f) for f in ("net_param", "net") if param.HasField(f)]
    if common:
        nets += common * (len(param.test_iter) - len(nets))
    if len(param.test_iter) != len(nets):
        raise SolverError(f"{len(param.test_iter)} test_iter for {len(nets)} test nets; give one test_iter for each")
    if nets and param.test_interval <= 0:
        raise SolverError("a solver with test_iter also needs a test_interval above 0")
    states = param.test_state
    if len(states) not in (0, len(nets)):
        raise SolverError(f"{len(states)} test_state for {len(nets)} test nets; give none or one for each")
    return [
        build(*_message(net, base, registry), TEST, states[i] if len(states) else None) for i, net in enumerate(nets)
    ]


def _message(net: Any, base: Path | None, registry: Registry) -> tuple[Any, Path | None]:
    """The message and the folder beside which its files are looked for."""
    if not isinstance(net, str):
        return net, base
    path = finder(base)(net)
    return read.net_param(path, registry), path.parent
