"""Old net and solver formats to today's, message to message."""

from typing import Any

from netdef.upgrade import batch_norm, data, inputs, solver, v0, v1

__all__ = ["needs_upgrade", "upgrade_net", "upgrade_solver"]

# in Caffe's order: each step may count on those before it
_STEPS = (v0, data, v1, inputs, batch_norm)


def upgrade_net(net: Any) -> Any:
    """The net in today's format: V0, then V1, then what changed since (Caffe: UpgradeNetAsNeeded).

    The argument is left as it is, and returned itself where nothing is old. Weights and origins come along.
    Raises PrototxtError or GraphError where the old net says what cannot be carried over.
    """
    for step in _STEPS:
        if step.needed(net):
            net = step.upgrade(net)
    return net


def upgrade_solver(message: Any) -> Any:
    """The solver settings in today's format, nets written inside them as well (Caffe: UpgradeSolverAsNeeded).

    Raises SolverError where solver_type and type are both given.
    """
    return solver.upgrade(message, upgrade_net)


def needs_upgrade(net: Any) -> list[str]:
    """What is old about a net, one phrase each; empty for today's format."""
    return [reason for step in _STEPS if (reason := step.needed(net))]
