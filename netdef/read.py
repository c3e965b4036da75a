"""Nets and solvers from files, with the schema of the plugins that are loaded."""

from pathlib import Path
from typing import Any

from netdef import prototxt
from netdef import registry as registries
from netdef.layer import TRAIN
from netdef.net import Net
from netdef.upgrade import upgrade_net, upgrade_solver


def net_param(
    path: Path | str, registry: registries.Registry | None = None, *, strict: bool = False, training: bool = True
) -> Any:
    """The upgraded NetParameter of a file. Raises PrototxtError with file:line:column.

    Settings of other builds that netdef cannot train by are errors, with training=False notes.
    """
    registry = registry or registries.default()
    message, types = registry.schema.message("NetParameter"), registry.names("layers")
    return upgrade_net(prototxt.read(path, message, strict=strict, training=training, types=types))


def solver_param(path: Path | str, registry: registries.Registry | None = None, *, strict: bool = False) -> Any:
    """The upgraded SolverParameter of a file."""
    schema = (registry or registries.default()).schema
    return upgrade_solver(prototxt.read(path, schema.message("SolverParameter"), strict=strict))


def net(path: Path | str, phase: int, registry: registries.Registry | None = None, **settings: Any) -> Net:
    """A net built from a file; `settings` go to Net."""
    registry = registry or registries.default()
    param = net_param(path, registry, training=phase == TRAIN)
    return Net(param, phase, registry=registry, base=Path(path).parent, **settings)
