"""Help, spellings of flags, and what is said of a command line that cannot be followed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netdef import __version__
from netdef.cli import COMMANDS
from netdef.cli.flags import spelled


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    done = run(command, "--help")
    assert done.status == 0 and done.err == ""
    assert done.out.startswith(f"usage: netdef {command}")
    assert f"  netdef {command}" in done.out.split("examples:")[1]


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = "import sys; from netdef.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert re.search(rf"\n    {name}\s", done.stdout)
    for module in ("numpy", "google.protobuf", "rich", "onnx", "pluggy"):
        assert f"'{module}'" not in done.stderr


def test_building_a_net_imports_nothing_that_only_other_commands_need():
    net = Path(__file__).parents[2] / "models/lenet/deploy.prototxt"
    code = f"import sys; from netdef import read; read.net({str(net)!r}, 1); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for module in ("numba", "onnx", "onnxruntime", "rich", "h5py", "cv2", "PIL"):
        assert f"'{module}'" not in done.stdout


def test_version(run):
    assert run("--version").out == f"netdef {__version__}\n"


def test_no_words_show_the_help(run):
    done = run()
    assert done.status == 2 and "commands:" in done.err and done.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'? (see: netdef --help)"),
        (["--verion"], "unknown flag '--verion'; did you mean '--version'? (see: netdef --help)"),
        (["check", "--mdel", "x"], "unknown flag '--mdel'; did you mean '--model'? (see: netdef check --help)"),
        (["test", "-wieghts=x"], "unknown flag '--wieghts'; did you mean '--weights'? (see: netdef test --help)"),
        (["check", "a", "b"], "unknown argument 'b' (see: netdef check --help)"),
        (["check"], "no file given; want: netdef check NET [flags]"),
        (["check", "a", "--model", "b"], "got 'a' and --model 'b'; give one"),
        (["time", "a", "--iterations", "0"], "argument --iterations: want a whole number from 1, got '0'"),
        (["time", "a", "--iterations=-3"], "argument --iterations: want a whole number from 1, got '-3'"),
        (["check", "a", "--phase", "DEV"], "argument --phase: invalid choice: 'DEV'"),
        (["check", "a", "--shape", "x"], "argument --shape: want BLOB=1,3,224,224, got 'x'"),
        (["train", "a", "--weights", "w", "--snapshot", "s"], "give --weights or --snapshot, not both"),
        (["train", "a", "--phase", "TEST"], "training is phase TRAIN"),
        (["train", "a", "--sigint_effect", "explode"], "--sigint_effect: invalid choice: 'explode'"),
        (["test", "a"], "no weights given; add --weights W.caffemodel"),
        (["export", "a", "-o", "b"], "no weights given; add --weights W.caffemodel, or --filler"),
        (["export", "a", "-o", "b", "--filler", "--weights", "w"], "give --weights or --filler, not both"),
        (["export", "a", "--weights", "w"], "the following arguments are required: -o/--output"),
        (["layers", "--prefer", "ReLU"], "argument --prefer: want TYPE=PLUGIN, got 'ReLU'"),
        (["upgrade", "a", "b", "--in-place"], "--in-place writes over IN; leave OUT away"),
    ],
)
def test_usage_errors_say_what_is_wanted(run, words, said):
    done = run(*words)
    assert done.status == 2 and done.out == ""
    assert done.err.startswith("netdef: error: ") and said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "M", "--sigint_effect", "none"],
        ["-model", "M", "-sigint_effect", "none"],
        ["--model=M", "--sigint_effect=none"],
        ["-model=M", "-sigint-effect=none"],
    ],
)
def test_flags_are_spelled_as_caffe_users_do(words):
    joined = " ".join(spelled(words, ["--model", "--sigint_effect", "-o"])).replace("=", " ")
    assert joined == "--model M --sigint_effect none"


def test_values_and_short_flags_are_left_alone():
    words = ["a=b", "-o", "x", "-", "--", "-3", "net.prototxt"]
    assert spelled(words, ["--model", "-o"]) == words


@pytest.mark.parametrize(
    "words",
    [
        ["check", "deploy.prototxt", "--phase", "TEST"],
        ["check", "--phase", "test", "deploy.prototxt"],
        ["check", "-model", "deploy.prototxt"],
        ["--model=deploy.prototxt", "check"],
        ["--strict-plugins", "check", "--model", "deploy.prototxt", "--stage", "a,b", "--level", "2"],
        ["check", "deploy.prototxt", "--model", "deploy.prototxt"],
    ],
)
def test_a_net_by_place_or_flag_in_any_order(run, files, words):
    done = run(*words)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("layer ")


def test_gpu_is_accepted_with_a_note(run, files):
    done = run("time", "-gpu", "0", "-model", "deploy.prototxt", "-iterations", "1")
    assert done.status == 0
    assert done.err == "netdef: note: --gpu is ignored: netdef runs on the CPU\n"
