"""SIGKILL at any moment loses nothing but the iterations since the last snapshot."""

import pytest
from solver.kill import campaign


@pytest.mark.parametrize("kind", ["SGD", "early stopping"])
def test_a_killed_run_resumes_bit_for_bit(kind: str) -> None:
    same, runs = campaign(kills=2, iterations=30, kind=kind, per_run=2)
    assert same == runs
