"""The README is true: its commands exist, its files exist, its hook table is the code's."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from netdef import cli, hookspecs
from netdef.registry import Registry, Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def test_the_two_set_up_commands_come_first() -> None:
    first = [block.strip() for block in blocks("sh")[:2]]
    assert first[0].startswith("pip install .") and "netdef train models/digits/solver.prototxt" in first[0]
    assert first[1].startswith('pip install -e ".[test]"') and first[1].endswith("pytest")
    assert all("\n" not in command for command in first)


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("netdef ")])
def test_every_command_exists(command: str) -> None:
    words = shlex.split(command)
    assert words[1] in cli.COMMANDS
    done = subprocess.run(
        [sys.executable, "-m", "netdef", words[1], "--help"], capture_output=True, text=True, check=True
    )
    for flag in (w for w in words if w.startswith("--")):
        assert flag in done.stdout, f"{flag} is not in the help of netdef {words[1]}"


def test_every_file_named_exists() -> None:
    named = re.findall(r"models/\w+/[\w.]+", README)
    made_by_training = re.compile(r"_iter_\d+\.")
    assert [n for n in named if not made_by_training.search(n) and not (ROOT / n).exists()] == []


def test_the_hook_table_is_the_code() -> None:
    told = re.findall(r"^\| `(netdef_\w+)` \|", README, re.MULTILINE)
    assert told == [name for name in vars(hookspecs) if name.startswith("netdef_")]


def test_the_layer_shown_is_a_layer(tmp_path: Path) -> None:
    file = tmp_path / "square.py"
    file.write_text(next(block for block in blocks("python") if "class Square" in block))
    registry = Registry(Settings(files=(str(file),), strict=True)).load()
    from netdef import testing

    net = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "y" type: "Square" bottom: "x" top: "y" square_param { scale: 0.5 } }
    """
    testing.check_layer(net, registry=registry)
