"""netdef tune search: trials with Optuna, over what the user names."""

import argparse
import math
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

from netdef.cli import flags
from netdef.cli.failure import say
from netdef.cli.tune.trial import Template, kind_of
from netdef.errors import NetdefError
from netdef.report.tables import show
from netdef.solver.divergence import DivergenceError

DEFAULT = ("base_lr=1e-4..1", "weight_decay=1e-5..1e-2")
LOG = 20  # a range whose ends are this factor apart is searched on a log scale

Suggest = Callable[[Any], Any]


def find(args: argparse.Namespace, path: str) -> int:
    optuna = _optuna()
    template = Template(path, args)
    ranges = dict(suggestion(text, template.param) for text in args.set or DEFAULT)
    probe = template.solver(args.iterations)  # whatever is wrong with the solver is said before a study is made
    larger = probe.judge is not None and probe.judge.larger
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what ends a search, the command itself says
    study = _study(optuna, args, template, "maximize" if larger else "minimize")
    if study.trials:
        say(f"study '{study.study_name}' goes on: it has {len(study.trials)} trials")
    kind = optuna.samplers.RandomSampler if args.sampler == "random" else optuna.samplers.TPESampler

    def attempt(trial: Any) -> float:
        # anew for each number, which the storage gives out once: no two processes or runs draw the same
        study.sampler = kind(seed=(args.seed * 1_000_003 + trial.number) % 2**32)
        return objective(trial, template, ranges, args.iterations, optuna)

    picture = args.plot or f"{template.prefix}_search.png"
    try:
        study.optimize(attempt, n_trials=args.trials)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on with this study")
        report(study, ranges, picture, bool(args.plot))
        return 128 + signal.SIGINT
    return report(study, ranges, picture, bool(args.plot))


def _study(optuna: Any, args: argparse.Namespace, template: Template, direction: str) -> Any:
    """The study of that name, made where there is none. Tried again: of two that make it at once, one fails."""
    where = args.storage or f"sqlite:///{template.prefix}_search.db"
    failure: Exception | None = None
    for pause in (0, 0.3, 1, 2):
        time.sleep(pause)
        try:
            return optuna.create_study(
                storage=where,
                study_name=args.study or template.prefix.name,
                direction=direction,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
                load_if_exists=True,
            )
        except ImportError as e:
            missing = getattr(e.__cause__, "name", None) or "of its database"
            raise NetdefError(f"--storage {where}: needs the Python package {missing} (pip install)") from e
        except Exception as e:
            failure = e
    raise NetdefError(f"--storage {where}: {str(failure).splitlines()[0]}") from failure


def suggestion(text: str, param: Any) -> tuple[str, Suggest]:
    """NAME=LOW..HIGH or NAME=A,B,C as (name, function of a trial). Raises UsageError, SolverError."""
    name, _, given = text.partition("=")
    kind = kind_of(param, name)
    low, dots, high = given.partition("..")
    try:
        if dots and kind == "int":
            a, b = int(low), int(high)
            return name, lambda trial: trial.suggest_int(name, a, b, log=a > 0 and b / a >= LOG)
        if dots and kind == "float":
            x, y = float(low), float(high)
            return name, lambda trial: trial.suggest_float(name, x, y, log=x > 0 and y / x >= LOG)
        read = {"int": int, "float": float}.get(kind, str)
        values = [read(word) for word in flags.words(given)]
    except ValueError:
        values = []
    if not values or dots:
        raise flags.UsageError(f"--set {text}: want {name}=LOW..HIGH for numbers, or {name}=A,B,C")
    return name, lambda trial: trial.suggest_categorical(name, values)


def objective(trial: Any, template: Template, ranges: dict[str, Suggest], iterations: int | None, optuna: Any) -> float:
    """The best test of a run, or its training loss without tests; a run that diverges or cannot be is pruned."""
    chosen = {name: suggest(trial) for name, suggest in ranges.items()}
    text = f"trial {trial.number}: " + ", ".join(f"{name} {_text(value, 3)}" for name, value in chosen.items())
    try:
        solver = template.solver(iterations, **chosen)
        solver.observers.append(Reporter(trial, text, optuna))
        solver.solve()
        if solver.judge is not None and solver.iter % solver.param.test_interval:
            solver.test_all()
    except DivergenceError as e:
        say(f"{text}: diverged at iteration {solver.iter}")
        raise optuna.TrialPruned from e
    except NetdefError as e:
        say(f"{text}: {e}")
        raise optuna.TrialPruned from e
    value = solver.judge.best.value if solver.judge is not None else solver.smoothed_loss
    if not math.isfinite(value):
        raise optuna.TrialPruned
    say(f"{text}: {solver.judge or f'loss {value:.4g}'}")
    return float(value)


class Reporter:
    """An observer that tells Optuna of every test, and obeys when it gives the trial up."""

    def __init__(self, trial: Any, text: str, optuna: Any):
        self.trial, self.text, self.optuna = trial, text, optuna

    def test(self, solver: Any, index: int, results: Any) -> None:
        value = solver.judge.value(results) if index == 0 else math.nan
        if not solver.iter or not math.isfinite(value):
            return
        self.trial.report(value, solver.iter)
        if self.trial.should_prune():
            say(f"{self.text}: given up at iteration {solver.iter}")
            raise self.optuna.TrialPruned


def report(study: Any, ranges: Iterable[str], picture: str, wanted: bool) -> int:
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    sign = -1 if study.direction.name == "MAXIMIZE" else 1
    names = list(ranges)
    rows = [
        (str(t.number), f"{t.value:.5g}", *(_text(t.params.get(name, "")) for name in names))
        for t in sorted(done, key=lambda t: sign * t.value)[:10]
    ]
    if not rows:
        print("no trial came to its end; widen the ranges, or begin with: netdef tune lr")
        return 1
    show(("trial", "result", *names), rows, right=("trial", "result", *names))
    given_up = sum(trial.state.name == "PRUNED" for trial in study.trials)
    left = len(study.trials) - len(done) - given_up  # killed, or another process's
    print(
        f"{len(done)} trials done, {given_up} given up{f', {left} unfinished' if left else ''}; best: "
        + ", ".join(f"{n}: {_text(v)}" for n, v in study.best_params.items())
    )
    try:
        _picture(done, names, picture)
        print(f"picture: {picture}")
    except NetdefError as e:
        if wanted:
            raise
        say(f"note: {e}")
    return 0


def _text(value: Any, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _picture(done: list[Any], names: list[str], path: str) -> None:
    from netdef.report.plots import write_scatter

    write_scatter({n: [(t.params[n], t.value) for t in done if n in t.params] for n in names}, "result", path)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as e:
        raise NetdefError('a search needs Optuna: pip install "netdef-nn[tune]"; netdef tune lr needs nothing') from e
    return optuna
