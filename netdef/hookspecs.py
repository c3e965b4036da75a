"""The hooks a plugin may implement: each returns what the plugin provides under names that a prototxt uses."""

from typing import Any

import pluggy

GROUP = "netdef"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def netdef_layers() -> list[type]:  # type: ignore[empty-body]
    """Layer classes, each with its `type`."""


@hookspec
def netdef_fillers() -> dict[str, Any]:  # type: ignore[empty-body]
    """Fillers by name: functions (array, filler_param, rng) that fill the array in place."""


@hookspec
def netdef_rules() -> dict[str, type]:  # type: ignore[empty-body]
    """Solver rules by `type` name: classes that turn a gradient into a step."""


@hookspec
def netdef_policies() -> dict[str, Any]:  # type: ignore[empty-body]
    """Learning-rate policies by `lr_policy` name: functions (solver_param, iteration) -> rate, or classes of such."""


@hookspec
def netdef_sources() -> dict[str, Any]:  # type: ignore[empty-body]
    """Data backends by name (LMDB, LEVELDB): callables (path) -> records with a path, a length and read(rows)."""


@hookspec
def netdef_importers() -> dict[str, Any]:  # type: ignore[empty-body]
    """Importers by ONNX operator: functions (node) that add layers, and return the value they give; see onnx_import."""


@hookspec
def netdef_peers() -> dict[str, Any]:  # type: ignore[empty-body]
    """Peers by name for `netdef time --against`: functions (net, sources) -> netdef.report.against.Peer."""


@hookspec
def netdef_options() -> list[Any]:  # type: ignore[empty-body]
    """Option blocks beyond those that layer classes declare, such as fields added to an existing block."""


@hookspec
def netdef_observers() -> list[Any]:  # type: ignore[empty-body]
    """Observers of a training run: objects with any of start, iteration, test, snapshot, end ...; see Solver."""
