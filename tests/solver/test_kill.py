"""SIGKILL at any moment loses nothing but the iterations since the last snapshot."""

from solver.kill import campaign


def test_a_killed_run_resumes_bit_for_bit() -> None:
    same, runs = campaign(kills=3, iterations=60, per_run=3)
    assert same == runs
