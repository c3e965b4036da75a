"""solver_type (an enum) to type (a name), and the nets that a solver holds."""

from collections.abc import Callable
from typing import Any

from netdef.errors import SolverError

_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade(solver: Any, upgrade_net: Callable[[Any], Any]) -> Any:
    """A copy of the solver settings with `type` alone, and every net inside it upgraded."""
    new = type(solver)()
    new.CopyFrom(solver)
    if solver.HasField("solver_type"):
        new.type = _type(solver)
        new.ClearField("solver_type")
    for name in ("net_param", "train_net_param"):
        if solver.HasField(name):
            getattr(new, name).CopyFrom(upgrade_net(getattr(solver, name)))
    for old, net in zip(solver.test_net_param, new.test_net_param):
        net.CopyFrom(upgrade_net(old))
    return new


def _type(solver: Any) -> str:
    enum = solver.DESCRIPTOR.fields_by_name["solver_type"].enum_type
    old = enum.values_by_number[solver.solver_type].name
    if solver.HasField("type"):
        raise SolverError(f"solver_type: {old} and type: {solver.type!r} are both given; keep type")
    return _TYPES[old]
