"""What a layer's own tests call: check_layer proves a case in every way the contract asks, check_gradient in one.

    from netdef.testing import check_layer

    def test_conforms(netdef_case):
        check_layer(netdef_case)

A case is a small net in prototxt; see load_cases for the line that introduces one in a file. `netdef_case` is each
case in cases/*.prototxt beside the test's file, one after another. `net` builds a net to compare with other numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from netdef import registry as registries
from netdef.errors import NetdefError
from netdef.layer import TRAIN
from netdef.testing import options, proofs
from netdef.testing.bench import Bench
from netdef.testing.cases import Case, Range, as_range, load_cases
from netdef.testing.gradient import gradient_faults
from netdef.testing.nets import net
from netdef.testing.steps import step_faults
from netdef.testing.together import said_together

__all__ = ["BrokenPromiseError", "Case", "Range", "check_gradient", "check_layer", "load_cases", "net"]

Ranges = Mapping[str, Range | str]
Check = Callable[[Case, registries.Registry], Iterable[str]]


class BrokenPromiseError(AssertionError):
    """Promises of the layer contract that a layer does not keep, one a line."""


def check_layer(
    case: Case | str,
    *,
    registry: registries.Registry | None = None,
    phase: int = TRAIN,
    ranges: Ranges | None = None,
    gradient: bool = True,
    onnx: bool | str = True,
) -> None:
    """Prove a case: gradients in float64, and everything else that layer.py promises in a layer's name.

    Gradients with respect to inputs and parameters; update adds and backward writes; propagate_down, `reads`,
    `in_place`, `absorbs` and `infer` mean what they say; a pass repeats; float32 agrees; the memory plan changes
    nothing; weights survive a file; ONNX Runtime agrees; odd options are taken or refused in words. `case` may be text:
    the other arguments then say what a case's line would, with ranges as Range or "int:0:5". Raises BrokenPromiseError
    that lists every promise broken.
    """
    case = _case(case, phase, ranges, gradient, onnx)
    registry = registry or registries.default()
    if case.refused:
        _raise(case, _said([options.refused], case, registry))
        return
    checks: list[Check] = [proofs.repeatable]
    if case.gradient:
        checks += [_gradients, _steps]
    checks += [proofs.in_place, proofs.another_batch, proofs.single_precision, proofs.memory_plan]
    checks += [said_together, proofs.weights_round_trip, proofs.onnx_form, options.bad_options]
    _raise(case, _said(checks, case, registry))


def check_gradient(
    case: Case | str,
    *,
    registry: registries.Registry | None = None,
    phase: int = TRAIN,
    ranges: Ranges | None = None,
) -> None:
    """Only the gradients of a case, analytic against numerical. Raises BrokenPromiseError."""
    case = _case(case, phase, ranges)
    _raise(case, _said([_gradients], case, registry or registries.default()))


def _case(case: Case | str, phase: int, ranges: Ranges | None, gradient: bool = True, onnx: bool | str = True) -> Case:
    if isinstance(case, Case):
        return case
    made = {name: as_range(r) if isinstance(r, str) else r for name, r in (ranges or {}).items()}
    return Case("case", case, phase, made, gradient, onnx)


def _gradients(case: Case, registry: registries.Registry) -> Iterator[str]:
    yield from gradient_faults(Bench(case, registry))


def _steps(case: Case, registry: registries.Registry) -> Iterator[str]:
    yield from step_faults(Bench(case, registry))


def _said(checks: Iterable[Check], case: Case, registry: registries.Registry) -> Iterator[str]:
    """What the checks yield. An exception within one is a fault as well, told once, and the other checks go on."""
    raised: dict[str, list[str]] = {}
    for check in checks:
        try:
            yield from check(case, registry)
        except Exception as e:
            message = str(e) if isinstance(e, NetdefError) else f"{type(e).__name__}: {e}"
            raised.setdefault(message, []).append(check.__name__.strip("_").replace("_", " "))
    yield from (f"{', '.join(names)}: {message}" for message, names in raised.items())


def _raise(case: Case, faults: Iterable[str]) -> None:
    lines = list(dict.fromkeys(faults))
    if lines:
        raise BrokenPromiseError("\n".join([f"{case.file}: case '{case.name}':", *(f"  {line}" for line in lines)]))
