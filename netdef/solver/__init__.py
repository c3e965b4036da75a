"""Training: a loop, rules that take steps, policies that set the rate, snapshots that lose nothing."""

from netdef.solver.loop import Solver

__all__ = ["Solver"]
