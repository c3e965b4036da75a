"""What a run leaves to look at: the page in a real browser, pictures, tables, lines, event files."""

import csv
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from solver.runs import digits

from netdef.errors import NetdefError
from netdef.report import journal, page, record, svg
from netdef.report.diagnosis import diagnose
from netdef.report.record import Record

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    solver = digits(folder, max_iter=60, test_interval=20, snapshot=30, statistics_interval=20)
    kept = Record(folder / "curves.jsonl")
    solver.observers.append(kept)
    solver.solve()
    kept.close()
    page.write_page(solver, kept.run, folder / "report.html")
    return folder, solver, kept.run


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(trained):
    text = (trained[0] / "report.html").read_text()
    found = Elements()
    found.feed(text)
    assert found.open == [] and found.links == [] and "script" not in found.tags
    assert "http" not in text and "url(" not in text and "@import" not in text
    for title in ("Diagnosis", "Curves", "Weights and gradients", "Activations", "Layers", "Events", "Settings"):
        assert f"<h2>{title}</h2>" in text
    assert found.tags.count("svg") == 3 + 2 * 8  # loss, accuracy, rate; two histograms for each of 8 parameters
    assert "base_lr: 0.05" in text and "conv2" in text and "run_iter_30.solverstate" in text


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_a_browser_shows_the_page_from_disk(trained, tmp_path):
    where = (trained[0] / "report.html").as_uri()
    flags = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [*flags, "--window-size=1000,2600", f"--screenshot={shot}", where], capture_output=True, timeout=120
    )
    assert shot.is_file(), done.stderr.decode(errors="replace")[-500:]
    dom = subprocess.run([*flags, "--dump-dom", where], capture_output=True, timeout=120, text=True).stdout
    assert dom.count("<polyline") == 5 and "training report</title>" in dom
    cv2 = pytest.importorskip("cv2")
    pixels = cv2.imread(str(shot)).reshape(-1, 3).astype(int)
    for color in svg.COLORS[:2]:  # the training loss and the test loss are really drawn
        want = np.array([int(color[k : k + 2], 16) for k in (5, 3, 1)])
        assert (np.abs(pixels - want).max(1) < 12).sum() > 200, color


def test_text_of_a_net_is_never_markup(trained):
    _, solver, run = trained
    hostile = record.Run(**{**vars(run), "name": "<b>&", "error": "<script>", "reason": "failed"})
    text = page.page(solver, hostile)
    assert "<script>" not in text and "&lt;b&gt;&amp;" in text and "&lt;script&gt;" in text


def test_a_run_that_has_nothing_yet_makes_a_page(trained):
    text = page.page(trained[1], record.Run())
    assert "Curves" not in text or "svg" in text


def test_lines_are_json_and_make_the_run_again(trained):
    folder, _, run = trained
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (folder / "curves.jsonl").read_text().splitlines()]
    assert {row["row"] for row in rows} == {"train", "test", "statistics", "event"}
    assert [row["iter"] for row in rows if row["row"] == "train"] == list(range(60))
    again = record.Run(name=run.name, max_iter=60, classes=run.classes, labels=run.labels)
    record.take_up(again, rows)
    assert again.points == run.points and again.tests == run.tests and len(again.looks) == 3
    assert [str(f) for f in diagnose(again)] == [str(f) for f in diagnose(run)]


def test_a_resumed_run_continues_its_lines(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "copy")
    path = tmp_path / "copy/curves.jsonl"
    with path.open("a") as f:
        f.write('{"row": "train", "iter"')  # a kill cut it off
    solver = digits(tmp_path, max_iter=40, test_interval=20)
    solver.restore(tmp_path / "copy/run_iter_30.solverstate")
    kept = Record(path)
    solver.observers.append(kept)
    solver.solve()
    kept.close()
    iterations = [row["iter"] for row in record.read(path) if row["row"] == "train"]
    assert iterations == list(range(40)) == [p.iter for p in kept.run.points]
    assert [e.kind for e in kept.run.events].count("resumed") == 1


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "x.jsonl"
    assert record._plain({"a": math.inf, "b": [math.nan, 1.0]}) == {"a": None, "b": [None, 1.0]}
    path.write_text('{"row": "train", "iter": 0, "loss": null, "rate": 1.0, "seconds": 0, "epoch": null}\n')
    run = record.Run()
    record.take_up(run, record.read(path))
    assert math.isnan(run.points[0].loss) and run.points[0].epoch is None


def test_the_table_has_a_row_for_every_iteration(trained, tmp_path):
    journal.write_csv(trained[2], tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["iteration", "epoch", "seconds", "rate", "loss", "test0_accuracy", "test0_loss"]
    assert len(rows) == 61 and rows[60]["loss"] == "" and float(rows[60]["test0_accuracy"]) > 0.5
    with pytest.raises(NetdefError, match="cannot write"):
        journal.write_csv(trained[2], tmp_path / "no/x.csv")


def test_a_long_run_keeps_its_shape_in_few_points(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "MOST", 10)
    solver = digits(tmp_path, max_iter=37, test_interval=1000)
    kept = Record()
    solver.observers.append(kept)
    solver.solve()
    iterations = [p.iter for p in kept.run.points]
    assert len(iterations) <= 10 and len(set(np.diff(iterations))) == 1 and iterations[0] == 0


def test_pictures(trained, tmp_path):
    pytest.importorskip("matplotlib")
    from netdef.report.plots import write_png

    write_png(trained[2], tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("module", "extra", "use"), [
    ("matplotlib.figure", "plots", lambda: __import__("netdef.report.plots").report.plots._figure()),
    ("tensorboard.summary.writer.event_file_writer", "tensorboard",
     lambda: __import__("netdef.report.tensorboard").report.tensorboard.TensorBoard("x")),
])  # fmt: skip
def test_a_missing_extra_says_what_to_install(monkeypatch, module, extra, use):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(NetdefError, match=re.escape(f'pip install "netdef-nn[{extra}]"')):
        use()


def test_event_files_are_read_by_tensorboard_itself(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from netdef.report.tensorboard import TensorBoard

    solver = digits(tmp_path, max_iter=20, test_interval=10, statistics_interval=10)
    solver.observers.append(TensorBoard(tmp_path / "events"))
    solver.solve()
    found = EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    tags = found.Tags()
    assert [e.step for e in found.Scalars("train/loss")] == list(range(20))
    assert [e.step for e in found.Scalars("test0/accuracy")] == [0, 10, 20]
    assert "gradients/conv1/0" in tags["histograms"] and "step_ratio/ip2/0" in tags["scalars"]


def test_ticks_are_round_and_span_the_range():
    assert svg._ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert svg._ticks(5.0, 5.0)[0] <= 5 <= svg._ticks(5.0, 5.0)[-1]
    assert svg.chart([svg.Curve("x", [(0, math.nan)])], "i", "y") == ""
