"""Case files: what their lines say, and what they may not."""

import numpy as np
import pytest

from netdef.errors import PrototxtError
from netdef.layer import TEST, TRAIN
from netdef.testing import Range, load_cases

NET = 'layer { name: "it" type: "Cube" bottom: "x" top: "y" }\n'


def load(tmp_path, text):
    file = tmp_path / "Cube.prototxt"
    file.write_text(text)
    return load_cases(file)


def test_a_file_holds_several_cases(tmp_path):
    first, second = load(
        tmp_path,
        "# a word before\n"
        "# case: plain\n" + NET + "# a remark\n"
        "# case: odd phase=TEST ids=int:0:5 x=uniform:-1:2.5 c=begin gradient=no onnx=no: it is odd, really\n" + NET,
    )
    assert (first.name, first.phase, first.ranges, first.gradient, first.onnx) == ("plain", TRAIN, {}, True, True)
    assert (str(second), second.phase, second.gradient, second.onnx) == ("odd", TEST, False, "it is odd, really")
    assert second.ranges == {"ids": Range("int", 0, 5), "x": Range("uniform", -1, 2.5), "c": Range("begin")}
    assert second.text.splitlines()[5] == NET.strip() and first.base == tmp_path


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("# case:", "2: a case without a name"),
        ("# case: phase=TEST", "2: a case without a name"),
        ("# case: a phase=BOTH", "2: case 'a': setting 'phase=BOTH'; want phase=TRAIN|TEST"),
        ("# case: a x=int:5", "'x=int:5'"),
        ("# case: a x=normal:0:1", "'x=normal:0:1'"),
        ("# case: a x=int:a:b", "'x=int:a:b'"),
        ("# case: a gradient=maybe", "'gradient=maybe'"),
        ("# nothing", "no case in this file"),
    ],
)
def test_a_wrong_line_is_a_message(tmp_path, line, says):
    with pytest.raises(PrototxtError) as e:
        load(tmp_path, f"\n{line}\n{NET}")
    assert says in str(e.value) and "Cube.prototxt" in str(e.value)


def test_ranges_hold_what_they_draw():
    rng = np.random.default_rng(0)
    ids = Range("int", 2, 4).draw((100,), rng)
    assert ids.dtype == np.float32 and set(ids) == {2.0, 3.0}
    begin = Range("begin").draw((50, 2), rng)
    assert not begin[0].any() and set(begin[1:].flat) == {0.0, 1.0}
    x = Range("uniform", 3, 5).draw((100,), rng)
    assert 3 <= x.min() < 3.5 and 4.5 < x.max() < 5
    assert Range().draw((), rng).shape == ()
    assert [r.smooth for r in (Range(), Range("uniform", 0, 1), Range("int", 0, 2), Range("begin"))] == [1, 1, 0, 0]
