"""Tables, progress and means: plain where nobody watches, drawn on a terminal."""

import io
import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.report import progress, tables, terminal

COLUMNS = ("layer", "size")
ROWS = [("conv[1]", "7"), ("a_very_long_name_" * 10, "12,345"), ("", "0")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_plain_table_cuts_nothing():
    stream = io.StringIO()
    tables.show(COLUMNS, ROWS, right=("size",), total=("total", "9"), file=stream)
    lines = stream.getvalue().splitlines()
    assert [line.split() for line in lines] == [
        ["layer", "size"],
        ["conv[1]", "7"],
        ["a_very_long_name_" * 10, "12,345"],
        ["-", "0"],
        ["total", "9"],
    ]
    assert len({len(line) for line in lines}) == 1  # the last column is flush right


def test_a_table_on_a_terminal_keeps_brackets_and_folds(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    tables.show(COLUMNS, ROWS, right=("size",), total=("total", "9"), file=stream)
    text = stream.getvalue()
    assert "conv[1]" in text and "total" in text and "…" not in text


def test_numbers_are_never_folded(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    row = ("a_long_name/of_a_layer", "Convolution", "12,728,352,768")
    tables.show(("layer", "type", "multiply-adds"), [row], right=("multiply-adds",), file=stream)
    assert "multiply-adds" in stream.getvalue() and "12,728,352,768" in stream.getvalue()


def test_a_dumb_terminal_is_none(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    tables.show(COLUMNS, ROWS, file=stream)
    assert stream.getvalue().startswith("layer ")


def test_json_takes_dataclasses():
    @dataclass
    class Thing:
        shape: tuple[int, ...]

    stream = io.StringIO()
    tables.show_json({"things": [Thing((1, 2))]}, stream)
    assert json.loads(stream.getvalue()) == {"things": [{"shape": [1, 2]}]}


def test_a_test_is_one_line_whatever_it_measures():
    results = [("accuracy", np.array(0.97123), 0.0), ("per_class", np.arange(10.0), 0.0)]
    assert progress.test_line(results) == "accuracy 0.9712, per_class 0 1 2 3 ... (10 values)"


def test_steps_are_drawn_on_a_terminal_alone(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    drawn = {}
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(terminal.sys, "stderr", stream)
        with terminal.steps("counting", 2) as step:
            step()
            step()
        drawn[type(stream)] = stream.getvalue()
    assert "counting" in drawn[Terminal] and "2/2" in drawn[Terminal]
    assert drawn[io.StringIO] == ""


def test_drawing_keeps_a_pace(monkeypatch):
    clock = iter([0.0, 0.05, 0.2, 0.21])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    pace = progress.Pace()
    assert [pace.due() for _ in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("speed", "images", "said"), [(2.25, 64, "144 img/s"), (58_800, 0, "58,800 it/s"), (0.5, 0, "0.5 it/s")]
)
def test_speeds_are_numbers_one_can_read(speed, images, said):
    task = SimpleNamespace(finished_speed=None, speed=speed, fields={"images": images})
    assert progress.Speed().render(task).plain == said


@pytest.fixture
def solver():
    return SimpleNamespace(
        iter=0,
        net=SimpleNamespace(name="a[b]", layers=[], tops=[]),
        param=SimpleNamespace(max_iter=3, iter_size=1),
        smoothed_loss=0.5,
        rate=0.01,
    )


def test_before_the_first_iteration_there_is_no_loss(solver, capsys):
    shown = progress.Training()
    shown.start(solver)
    shown.close()
    text = capsys.readouterr().err
    assert "0/3" in text and "loss" not in text


def test_training_shows_its_last_iteration(solver, capsys):
    shown = progress.Training()
    shown.start(solver)
    for solver.iter in range(3):
        shown.iteration(solver, 0.5)
    shown.end(solver, "done")
    shown.close()
    text = capsys.readouterr().err
    assert "training a[b]" in text and "3/3 loss 0.5 lr 0.01" in text and "iteration 2  done" in text
