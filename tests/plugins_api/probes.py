"""Classes that share a type, plugins that bring them, and the layers made of them."""

from types import SimpleNamespace

import toys

from netdef.layer import ParameterFree, hookimpl

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'


class Probe(ParameterFree):
    """y = x"""

    type, options = "Twin", None

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff


def twin(**members):
    return type("Made", (Probe,), members)


def registry(*plugins, shared=(), **settings):
    """Plugins "a-dist:main", "b-dist:main" ... of one class each; `shared` are options of none."""
    found = toys.registry()
    for k, cls in enumerate(plugins):
        hook = hookimpl(specname="netdef_layers")(lambda cls=cls: cls if isinstance(cls, list) else [cls])
        plugin = found.add(f"{'abcd'[k]}-dist:main", SimpleNamespace(netdef_layers=hook))
        assert not plugin.error, plugin.error
    if shared:
        hook = hookimpl(specname="netdef_options")(lambda: list(shared))
        found.add("other:options", SimpleNamespace(netdef_options=hook))
    for name, value in settings.items():
        setattr(found.settings, name, value)
    return found


def made(found, layer, inputs=INPUT):
    """The layer object that a net makes of a layer of type Twin."""
    n = toys.net(f'{inputs}layer {{ name: "t" type: "Twin" {layer} top: "y" }}', registry_=found)
    return n.layers[n.index("t")]


def maker(found, layer, **settings):
    return type(made(found, layer, **settings))


X = 'bottom: "x"'
