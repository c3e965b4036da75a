"""netdef plugins new: a package with one layer, its entry point and its tests, ready to be installed."""

import importlib.util
import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from netdef import __version__
from netdef.errors import PluginError

FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "readme.md.txt": "readme.md",
    "module.py.txt": "$module.py",
    "tests/test_module.py.txt": "tests/test_$module.py",
    "tests/cases/Type.prototxt.txt": "tests/cases/$type.prototxt",
}


def new(name: str, folder: Path, registry: Any) -> list[Path]:
    """Write the package into folder/NAME; the files written.

    Raises PluginError for a name that cannot be a distribution, module and layer type at once, for one that is taken,
    and for a folder that is there already.
    """
    words = _words(name)
    _check_free(words, registry)
    home = folder / name
    try:
        home.mkdir(parents=True)
    except FileExistsError:
        raise PluginError(f"{home} is there already; choose another name, or another place with --dir") from None
    written = []
    for source, target in FILES.items():
        path = home / Template(target).substitute(words)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = resources.files("netdef.cli.plugins").joinpath("template", source).read_text("utf-8")
        path.write_text(Template(text).substitute(words), "utf-8")
        written.append(path)
    return written


def _words(name: str) -> dict[str, str]:
    """What stands for what in the templates: "netdef-soft-clip" gives module netdef_soft_clip and type SoftClip."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")
        hint = f", such as {near}" if re.fullmatch(r"[a-z].*", near) else ""
        raise PluginError(f"'{name}' cannot name a package; want small letters, digits and single hyphens{hint}")
    stem = name.removeprefix("netdef-")
    type_ = "".join(word.capitalize() for word in stem.split("-"))
    entry, module = stem.replace("-", "_"), name.replace("-", "_")
    return {
        "name": name,
        "module": module,
        "entry": entry,
        "type": type_,
        "class": type_,
        "block": f"{entry}_param",
        "version": __version__,
    }


def _check_free(words: dict[str, str], registry: Any) -> None:
    """Nothing of the same name may be importable, and no layer or option block may bear it."""
    module, type_ = words["module"], words["type"]
    if keyword.iskeyword(module) or not type_[0].isalpha() or module in sys.stdlib_module_names:
        raise PluginError(f"'{words['name']}' gives the module '{module}', which is Python's own; choose another name")
    if module in ("netdef", "netdef_plugins", "netdef_proto") or importlib.util.find_spec(module) is not None:
        raise PluginError(f"a module '{module}' is installed already; choose another name")
    near = next((name for name in registry.names("layers") if name.lower() == type_.lower()), None)
    if near:
        owner = registry.claims("layers", near)[0].plugin.titled
        raise PluginError(f"{owner} provides a layer type '{near}' already; choose another name")
    if words["block"] in registry.schema.message("LayerParameter").DESCRIPTOR.fields_by_name:
        raise PluginError(f"option block '{words['block']}' is in use already; choose another name")
