"""Signals that arrive while a run is under way, sent for real."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
from solver.small import NET

from netdef.solver.signals import NONE, SNAPSHOT, STOP, Signals


def run(solver, text, signals, at, number):
    """A run in which a signal arrives during iteration `at`; the built solver and its events."""
    text += "" if "snapshot_after_train" in text else " snapshot_after_train: true"
    built = solver(f"max_iter: 6 {text}", NET)
    events = []

    def send(s, loss):
        events.append(s.iter)
        if s.iter == at:
            os.kill(os.getpid(), number)

    built.observers.append(
        SimpleNamespace(
            iteration=send,
            snapshot=lambda s, paths: events.append(f"snapshot {s.iter}"),
            end=lambda s, reason: events.append(reason),
        )
    )
    with signals:
        built.wish = signals.take
        built.solve()
    return built, events


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_after_the_iteration_with_a_snapshot(solver, number):
    built, events = run(solver, "", Signals(), 2, number)
    assert events == [0, 1, 2, "snapshot 3", "stopped early"]
    assert built.iter == 3


def test_a_hangup_snapshots_and_goes_on(solver):
    _, events = run(solver, "", Signals(), 2, signal.SIGHUP)
    assert events == [0, 1, 2, "snapshot 3", 3, 4, 5, "snapshot 6", "done"]


EFFECTS = {
    SNAPSHOT: [0, 1, 2, "snapshot 3", 3, 4, 5, "snapshot 6", "done"],
    STOP: [0, 1, 2, "snapshot 3", "stopped early"],
    NONE: [0, 1, 2, 3, 4, 5, "snapshot 6", "done"],
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_effects_may_be_chosen(solver, effect):
    assert run(solver, "", Signals(sigint=effect), 2, signal.SIGINT)[1] == EFFECTS[effect]
    assert run(solver, "", Signals(sighup=effect), 2, signal.SIGHUP)[1] == EFFECTS[effect]


def test_without_a_snapshot_after_training_a_stop_writes_none(solver):
    _, events = run(solver, "snapshot_after_train: false", Signals(), 2, signal.SIGINT)
    assert events == [0, 1, 2, "stopped early"]


def test_a_stop_during_a_test_ends_it_and_a_resumed_run_repeats_it(solver):
    """Also where several nets are tested and the second one is interrupted."""
    text = "test_iter: 3 test_iter: 3 test_interval: 2 max_iter: 6"
    nets = f"train_net_param {{ {NET} }} test_net_param {{ {NET} }} test_net_param {{ {NET} }}"
    built, again, whole = (solver(f"{nets} {text}") for _ in range(3))
    results = {id(s): [] for s in (built, again, whole)}

    def collect(s, k, r):
        results[id(s)].append((s.iter, k, [v.tobytes() for _, v, _ in r]))

    for s in (built, again, whole):
        s.observers.append(SimpleNamespace(test=collect))
    signals = Signals()

    def wish():
        if built.iter == 2 and built.test_nets[1].layers[0].passes == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return signals.take()

    with signals:
        built.wish = wish
        assert built.solve() == "stopped early"
    assert built.iter == 2
    assert [(i, k) for i, k, _ in results[id(built)]] == [(0, 0), (0, 1), (2, 0)]
    again.restore(built.snapshot()[1])
    again.solve()
    whole.solve()
    assert results[id(again)] == results[id(whole)][2:]


def test_a_snapshot_asked_for_during_a_test_is_written_after_it(solver):
    built, signals = solver("test_iter: 5 test_interval: 2 max_iter: 4"), Signals()
    written = []
    built.observers.append(SimpleNamespace(snapshot=lambda s, paths: written.append(s.iter)))

    def wish():
        if built.iter == 2 and built.test_nets[0].layers[0].passes == 7:
            os.kill(os.getpid(), signal.SIGHUP)
        return signals.take()

    with signals:
        built.wish = wish
        built.solve()
    assert written == [3]


def test_a_stop_is_not_taken_back_and_a_snapshot_not_lost():
    with Signals(sigint=NONE) as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.take() == SNAPSHOT, "a signal without effect has none on others either"
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.take() == STOP
        assert signals.take() == NONE, "handed out once"


def test_a_second_interrupt_does_not_wait(capfd):
    """For an iteration that hangs. The first one says what it will do."""
    with pytest.raises(KeyboardInterrupt), Signals(note="stopping after this iteration") as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.stopped_by == signal.SIGINT
        assert capfd.readouterr().err == "stopping after this iteration"
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.stopped_by == signal.SIGINT
        assert capfd.readouterr().err == ""
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_that_asks_for_a_snapshot_may_come_again():
    with Signals(sigint=SNAPSHOT) as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.take() == SNAPSHOT
        assert signals.stopped_by == 0


def test_the_handlers_from_before_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    with pytest.raises(ZeroDivisionError), Signals():
        assert signal.getsignal(signal.SIGINT) != before[signal.SIGINT]
        _ = 1 / 0
    assert {number: signal.getsignal(number) for number in before} == before


def test_in_another_thread_there_are_no_signals_and_no_error():
    found = []

    def work():
        with Signals() as signals:
            found.append(signals.take())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [NONE]
