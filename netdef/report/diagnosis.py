"""What is wrong with a training run, seen from its curves and statistics, and what to try."""

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netdef.report.record import Run, Test
from netdef.solver.watch import ParameterStatistics, Statistics

STUCK_SOFTMAX = 87.3365  # -log of the smallest normal float: the answer was sure, and wrong


@dataclass
class Finding:
    """A disease by the field's own name, what shows it, and what to try."""

    name: str
    seen: str
    tries: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}; try {self.tries}"


def diagnose(run: Run) -> list[Finding]:
    """Everything that is seen, causes before their effects; empty for a run that is well."""
    found = [finding for check in CHECKS for finding in check(run)]
    names = {finding.name for finding in found}
    if found and "unscaled inputs" not in names and "labels out of range" not in names:
        found[:0] = unscaled_inputs(run)
        names = {finding.name for finding in found}
    return [finding for finding in found if not names & EXPLAINED_BY.get(finding.name, set())]


EXPLAINED_BY = {
    "loss at chance level": {
        "slow convergence",
        "labels out of range",
        "divergence",
        "vanishing gradients",
        "dead units",
    },
    "underfitting": {"dead units", "slow convergence", "loss at chance level", "divergence", "labels out of range"},
    "overfitting": {"divergence"},
    "slow convergence": {"divergence", "vanishing gradients", "dead units"},
    "exploding gradients": {"unscaled inputs"},
    "vanishing gradients": {"divergence", "dead units"},
}
"""A finding that is but the effect of others is left out where these are seen."""


def divergence(run: Run) -> Iterator[Finding]:
    tries = "a smaller base_lr (a third, or netdef tune lr), warmup_iter, clip_gradients, or recoveries: 3"
    losses = [p.loss for p in run.points]
    if run.diverged:
        yield Finding("divergence", run.error.split("; last good snapshot")[0].split("; no snapshot")[0], tries)
        return
    if any(not math.isfinite(loss) for loss in losses):
        at = next(p.iter for p in run.points if not math.isfinite(p.loss))
        yield Finding("divergence", f"the loss is not finite from iteration {at} on", tries)
        return
    if len(losses) < 8:
        return
    first, last = losses[0], _late(losses)
    least = first if not run.classes else max(first, 1.2 * math.log(run.classes))
    rising = last > 2 * least
    stuck = any(abs(loss - STUCK_SOFTMAX) < 0.01 for loss in losses[-5:])
    if rising or stuck:
        seen = f"the loss rose from {first:.4g} to {last:.4g}"
        if stuck:
            seen += f"; {STUCK_SOFTMAX} is -log of the smallest float, of answers that are sure and wrong"
        yield Finding("divergence", seen, tries)


def labels_out_of_range(run: Run) -> Iterator[Finding]:
    for blob in run.data:
        if blob.blob in run.labels and run.classes and (blob.high >= run.classes or blob.low < 0):
            bad = blob.high if blob.high >= run.classes else blob.low
            if bad == -1 or (bad == 255 and run.reason != "failed"):
                continue  # the usual ignore_label
            seen = f"blob '{blob.blob}' holds {bad:g}, and the net has {run.classes} outputs (0 to {run.classes - 1})"
            yield Finding(
                "labels out of range", seen, "labels that count from 0, or num_output for every class there is"
            )


def unscaled_inputs(run: Run) -> Iterator[Finding]:
    """Only of a run with other troubles: nets whose fillers expect 0..255 train well."""
    for blob in run.data:
        if blob.blob not in run.labels and max(abs(blob.low), abs(blob.high)) > 20:
            seen = f"blob '{blob.blob}' ranges from {blob.low:.4g} to {blob.high:.4g}"
            tries = "transform_param { scale: 0.00390625 } or data stored between 0 and 1, with the mean subtracted"
            yield Finding("unscaled inputs", seen, tries)


def dead_units(run: Run) -> Iterator[Finding]:
    if len(run.looks) < 2:
        return
    worst: dict[str, tuple[float, str]] = {}
    for blob in run.looks[-1].blobs:
        if not blob.is_data:
            worst[blob.layer] = (blob.dead, blob.blob)
    layer = next((name for name, (dead, _) in worst.items() if dead >= 0.5), None)
    if layer is not None:
        dead, name = worst[layer]
        seen = f"{dead:.0%} of the channels of '{name}' (layer '{layer}') are 0 for the whole batch"
        tries = "a smaller base_lr, weight_filler msra, bias_filler of 0.1, or relu_param { negative_slope: 0.1 }"
        yield Finding("dead units", seen, tries)


def gradients(run: Run) -> Iterator[Finding]:
    """Exploding: longer than the weights themselves by far; vanishing: little of the last layers' reaches the first."""
    looks = [weights for look in run.looks if len(weights := _weights(look)) > 1]
    if not looks:
        return
    most = [max(w, key=_relative) for w in looks]
    high = statistics.median(_relative(p) for p in most)
    if high > 100:
        worst = most[len(most) // 2]
        seen = f"the gradient of layer '{worst.layer}' is {high:.3g} times as long as its weights"
        yield Finding(
            "exploding gradients", seen, "smaller fillers (xavier, msra), clip_gradients: 10, a smaller base_lr"
        )
    shares = [w[0].gradient_mean_abs / top if (top := max(p.gradient_mean_abs for p in w)) else 1.0 for w in looks]
    share = statistics.median(shares)
    if share < 1e-3 and len(looks[0]) > 2:
        seen = f"at the first layer, '{looks[0][0].layer}', {share:.2g} of the largest gradient is left"
        yield Finding(
            "vanishing gradients", seen, "ReLU instead of Sigmoid or TanH, weight_filler xavier or msra, BatchNorm"
        )


def convergence(run: Run) -> Iterator[Finding]:
    losses = [p.loss for p in run.points]
    if len(losses) < 20 or not all(map(math.isfinite, losses)):
        return
    first, last = _first(losses), _late(losses)
    chance = math.log(run.classes) if run.classes else first
    steps = [p.ratio for look in run.looks for p in _weights(look) if p.ratio]
    step = statistics.median(steps) if steps else math.nan
    fallen = (first - last) / abs(first) if first else 0.0
    tenth = max(1, len(losses) // 10)
    falling = statistics.fmean(losses[-3 * tenth : -2 * tenth]) - last
    crawls = step < 1e-5 and fallen < 0.2
    if crawls or (0.02 < fallen < 0.5 and falling > 0.1 * (first - last) and falling > 2 * _noise(losses)):
        seen = f"the loss fell from {first:.4g} to {last:.4g} only" if last < first else f"the loss stays at {last:.4g}"
        seen += f", with steps of {step:.1g} of the weights' length" if steps else ", and is falling still"
        yield Finding(
            "slow convergence",
            seen,
            "a larger base_lr (times 3 or 10; netdef tune lr), momentum 0.9, Adam, more iterations",
        )
    if run.classes and 0.9 * chance < last < 1.25 * chance:
        seen = f"the loss is {last:.4g} at the end; guessing among {run.classes} classes costs {chance:.4g}"
        yield Finding(
            "loss at chance level",
            seen,
            "a look whether labels belong to their images (shuffled?), then other rates and fillers",
        )


def overfitting(run: Run) -> Iterator[Finding]:
    tests = _judged(run)
    if len(tests) < 4 or not run.points:
        return
    best = min(tests, key=lambda t: t.loss)
    last, train = statistics.fmean(t.loss for t in tests[-2:]), _late([p.loss for p in run.points])
    after = [t for t in tests if t.iter > best.iter]
    risen = last > 1.25 * best.loss and last - best.loss > 0.05 * _first([t.loss for t in tests])
    if len(after) >= 2 and risen and train < 0.5 * last:
        seen = f"the test loss was least at iteration {best.iter} ({best.loss:.4g}) and is {last:.4g} now"
        seen += f"; in training it is {train:.4g}"
        tries = "the best model as it was kept, patience: 3, Dropout, weight_decay, more data or augmentation"
        yield Finding("overfitting", seen, tries)


def underfitting(run: Run) -> Iterator[Finding]:
    """A loss that stays high in training and test alike, and no longer falls."""
    tests, losses = _judged(run), [p.loss for p in run.points]
    if len(losses) < 20 or not all(map(math.isfinite, losses)):
        return
    first, last = _first(losses), _late(losses)
    half = statistics.fmean(losses[len(losses) // 2 : len(losses) * 3 // 4])
    level = math.log(run.classes) if run.classes else first
    flat = half - last < max(0.05 * half, _noise(losses))
    alike = not tests or tests[-1].loss < 1.5 * last
    if flat and alike and 0.35 * level < last < 0.9 * level:
        seen = f"the loss stays at {last:.4g}, from {first:.4g} at the start, in training as in tests"
        yield Finding(
            "underfitting", seen, "more or larger layers, less weight_decay and Dropout, a higher rate for longer"
        )


CHECKS: tuple[Callable[[Run], Iterator[Finding]], ...] = (
    labels_out_of_range, divergence, dead_units, gradients, convergence, overfitting, underfitting,
)  # fmt: skip


def _first(losses: list[float]) -> float:
    return statistics.fmean(losses[: max(1, min(3, len(losses) // 10))])


def _late(losses: list[float]) -> float:
    return statistics.fmean(losses[-max(1, len(losses) // 10) :])


def _noise(losses: list[float]) -> float:
    """The standard error of the mean over the last tenth."""
    late = losses[-max(2, len(losses) // 10) :]
    return statistics.stdev(late) / math.sqrt(len(late))


def _judged(run: Run) -> list[Test]:
    return [t for t in run.tests if t.net == 0 and math.isfinite(t.loss)]


def _weights(look: Statistics) -> list[ParameterStatistics]:
    """The first parameter of every layer that learns."""
    return [p for p in look.parameters if p.index == 0 and (p.gradient or p.ratio)]


def _relative(p: ParameterStatistics) -> float:
    return p.gradient / p.norm if p.norm else 0.0
