"""Several plugins that provide one type: which class makes a layer, and what each sees of its options."""

from types import SimpleNamespace

import pytest
import toys

from netdef import prototxt
from netdef.errors import NetdefError, PluginError
from netdef.graph.choose import provider
from netdef.layer import Block, Enum, Field, ParameterFree, hookimpl
from netdef.report import catalog

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
TWO = INPUT + INPUT.replace('"x"', '"z"')


# -- which class ---------------------------------------------------------------------------------------------------


def test_the_block_that_is_set_tells():
    a = twin(options=Block("norm_param", [Field("eps", "float")]))
    b = twin(options=Block("normalize_param", [Field("how", "string")]))
    found = registry(a, b)
    assert maker(found, X + " norm_param { eps: 1 }") is a
    assert maker(found, X + ' normalize_param { how: "L2" }') is b
    with pytest.raises(
        PluginError, match=r"layer 't' \(Twin\): layer type 'Twin' is claimed by a-dist:main and b-dist"
    ):
        made(found, X)


def test_the_field_that_is_set_tells():
    a = twin(options=Block("bn_param", [Field("eps", "float"), Field("slope", "float")]))
    b = twin(options=Block("bn_param", [Field("eps", "float"), Field("scale", "float")]))
    found = registry(a, b)
    assert maker(found, X + " bn_param { slope: 1 eps: 2 }") is a
    assert maker(found, X + " bn_param { scale: 1 }") is b
    with pytest.raises(PluginError, match="is claimed by"):
        made(found, X + " bn_param { eps: 1 }")
    with pytest.raises(PluginError) as caught:
        made(found, X + " bn_param { slope: 1 scale: 1 }")
    assert str(caught.value).endswith(
        "layer type 'Twin': none that provides it is meant for this layer: "
        "a-dist:main does not read scale of bn_param; b-dist:main does not read slope of bn_param; "
        "choose with --prefer Twin=a-dist:main or --prefer Twin=b-dist:main, or set NETDEF_PREFER=Twin=a-dist:main"
    )


def test_the_word_that_is_set_tells():
    a = twin(options=Block("op_param", [Field("op", Enum("Op", ("SUM", "MAX")))]))
    b = twin(options=Block("op_param", [Field("op", Enum("Op", ("SUM", "MAX", "DIV")))]))
    found = registry(a, b)
    assert maker(found, X + " op_param { op: DIV }") is b
    with pytest.raises(PluginError, match="is claimed by"):
        made(found, X + " op_param { op: MAX }")


def test_a_word_that_others_added_to_caffe_s_enum_is_refused_where_it_means_nothing():
    words = Enum("PoolMethod", ("MAX", "AVE", "STOCHASTIC", "LOWRES"))
    caffe_s, other = (
        twin(type="Pool", options="pooling_param"),
        twin(options=Block("pooling_param", [Field("pool", words)])),
    )
    found = registry(caffe_s, other)
    text = INPUT + 'layer { name: "t" type: "%s" bottom: "x" top: "y" pooling_param { pool: LOWRES } }'
    with pytest.raises(NetdefError, match=r"layer 't' \(Pool\): a-dist:main does not know pool: LOWRES"):
        toys.net(text % "Pool", registry_=found)
    assert toys.net(text % "Twin", registry_=found).layers[-1].param.pool == 3


def test_the_counts_tell():
    a, b = twin(bottoms=2), twin()
    found = registry(a, b)
    assert maker(found, X) is b
    assert maker(found, 'bottom: "x" bottom: "z"', inputs=TWO) is a
    with pytest.raises(PluginError, match=r"a-dist:main takes 2 bottoms, got 3 .*; b-dist:main takes 1 bottom, got 3"):
        made(found, 'bottom: "x" bottom: "z" bottom: "x"', inputs=TWO)


def test_where_nothing_declared_tells_the_class_is_asked():
    a = twin(claims=classmethod(lambda cls, layer: len(layer.param) == 4))
    b = twin(claims=classmethod(lambda cls, layer: len(layer.param) != 4))
    found = registry(a, b)
    message = found.schema.message("LayerParameter")
    assert provider(message(type="Twin", bottom="x", top="y", param=[{}] * 4), found).thing is a
    assert provider(message(type="Twin", bottom="x", top="y"), found).thing is b


def test_a_stranger_may_take_over_just_the_layers_that_set_its_own_option():
    plain = twin(options="pooling_param")
    ceil = twin(
        options=Block("pooling_param", [Field("odd", "bool")]),
        claims=classmethod(lambda cls, layer: layer.pooling_param.HasField("odd")),
    )
    found = registry(plain, ceil)
    assert maker(found, X + " pooling_param { kernel_size: 2 }") is plain
    assert maker(found, X + " pooling_param { kernel_size: 2 odd: true }") is ceil


def test_the_user_s_word_comes_first_but_no_option_is_passed_over():
    a, b = twin(options=Block("a_param", [Field("n", "float")])), twin(options=Block("b_param", [Field("n", "float")]))
    found = registry(a, b, prefer={"Twin": "b-dist"})
    assert maker(found, X) is b
    with pytest.raises(NetdefError, match=r"layer 't' \(Twin\): b-dist:main does not read a_param"):
        made(found, X + " a_param { n: 1 }")


def test_two_classes_of_one_plugin():
    a, b = twin(options=Block("a_param", [Field("n", "float")])), twin()
    a.__name__, b.__name__ = "First", "Second"
    found = registry([a, b])
    assert maker(found, X + " a_param { n: 1 }") is a
    with pytest.raises(PluginError, match=r"a-dist:main.First and a-dist:main.Second; choose with --prefer Twin=a-d"):
        made(found, X)
    found.settings.prefer = {"Twin": "a-dist:main.Second"}
    assert maker(found, X) is b


def test_one_class_that_two_plugins_bring_is_one():
    a = twin()
    assert maker(registry(a, a), X) is a


def test_an_alias_has_twins_too():
    a, b = twin(aliases=("Same", "Like")), twin(type="Like", bottoms=2)
    found = registry(a, b)
    n = toys.net(INPUT + 'layer { name: "t" type: "Like" bottom: "x" top: "y" }', registry_=found)
    assert type(n.layers[-1]) is a


# -- options that nobody would read --------------------------------------------------------------------------------


def test_an_option_of_another_plugin_is_not_ignored_in_silence():
    a = twin(options=Block("twin_param", [Field("n", "float")]))
    found = registry(a, shared=[Block("twin_param", [Field("ceil", "bool")])])
    with pytest.raises(NetdefError, match=r"layer 't' \(Twin\): a-dist:main does not read ceil of twin_param"):
        made(found, X + " twin_param { n: 1 ceil: true }")
    assert made(found, X + " twin_param { n: 3 }").param.n == 3


def test_a_class_that_names_a_block_reads_what_is_declared_there_but_not_what_strangers_add_to_caffe_s():
    declares, names = (
        twin(type="Declares", options=Block("twin_param", [Field("n", "float")])),
        twin(options="twin_param"),
    )
    for found in registry([declares, names]), registry(declares, names):
        assert made(found, X + " twin_param { n: 2 }").param.n == 2
    caffe_s = (
        twin(type="Declares", options=Block("pooling_param", [Field("n", "float")])),
        twin(options="pooling_param"),
    )
    assert made(registry(list(caffe_s)), X + " pooling_param { n: 2 }").param.n == 2
    with pytest.raises(NetdefError, match="b-dist:main does not read n of pooling_param"):
        made(registry(*caffe_s), X + " pooling_param { n: 2 }")


# -- what each sees of its options ---------------------------------------------------------------------------------


def two_views(one, other, text):
    """The option `scale` as two classes see it that declare it in two ways."""
    a = twin(type="One", options=Block("up_param", [one]))
    b = twin(type="Two", options=Block("up_param", [other]))
    found = registry(a, b)
    nets = (
        toys.net(f'{INPUT}layer {{ name: "t" type: "{t}" bottom: "x" top: "y" {text} }}', registry_=found)
        for t in ("One", "Two")
    )
    return [n.layers[-1].param for n in nets]


def test_defaults_of_one_s_own():
    one, two = two_views(Field("scale", "uint32", 2), Field("scale", "int32", 1), "")
    assert (one.scale, two.scale) == (2, 1)
    assert not one.HasField("scale") and not two.HasField("scale")
    one, two = two_views(Field("scale", "uint32", 2), Field("scale", "int32", 1), "up_param { scale: 5 }")
    assert (one.scale, two.scale) == (5, 5) and one.HasField("scale")


def test_a_number_of_either_kind():
    one, two = two_views(Field("scale", "uint32"), Field("scale", "float"), "up_param { scale: 3 }")
    assert (one.scale, two.scale) == (3, 3.0) and isinstance(one.scale, int)
    with pytest.raises(NetdefError, match=r"layer 't' \(One\): option 'scale' takes a whole number, got 0.5"):
        two_views(Field("scale", "uint32"), Field("scale", "float"), "up_param { scale: 0.5 }")
    with pytest.raises(NetdefError, match=r"layer 't' \(One\): option 'scale': "):
        two_views(Field("scale", "uint32"), Field("scale", "int32"), "up_param { scale: -1 }")


def test_one_or_many():
    fields = Field("scale", "int32", 4), Field("scale", "int32", repeated=True)
    one, two = two_views(*fields, "up_param { scale: 3 }")
    assert one.scale == 3 and list(two.scale) == [3]
    one, two = two_views(*fields, "")
    assert one.scale == 4 and list(two.scale) == []
    with pytest.raises(NetdefError, match=r"layer 't' \(One\): option 'scale' takes one value, got 2"):
        two_views(*fields, "up_param { scale: 3 scale: 4 }")


def test_words_numbered_otherwise():
    fields = Field("scale", Enum("Mode", ("NONE", "FAST"))), Field("scale", Enum("Mode", ("FAST", "SLOW")), "SLOW")
    one, two = two_views(*fields, "up_param { scale: FAST }")
    assert (one.scale, two.scale) == (1, 0)
    with pytest.raises(NetdefError, match=r"layer 't' \(One\): a-dist:main does not know scale: SLOW"):
        two_views(*fields, "up_param { scale: SLOW }")


def test_blocks_within():
    one, two = (Field("scale", Block("size", [Field("h", "int32", n)], message="Size")) for n in (1, 2))
    found = two_views(one, two, "up_param { scale { } }")
    assert [p.scale.h for p in found] == [1, 2] and found[1].HasField("scale")


def test_caffe_s_own_option_with_another_default():
    a = twin(options=Block("relu_param", [Field("negative_slope", "float", 0.1)]))
    found = registry(a, twin(type="Caffe", options="relu_param"))
    assert made(found, X).param.negative_slope == pytest.approx(0.1)
    n = toys.net(INPUT + 'layer { name: "t" type: "Caffe" bottom: "x" top: "y" }', registry_=found)
    assert n.layers[-1].param.negative_slope == 0


def test_the_catalogue_shows_each_its_own():
    a, b = (twin(options=Block("up_param", [Field("scale", "int32", n, doc=f"Doc {n}.")])) for n in (1, 2))
    shown = catalog.layer(registry(a, b), "Twin")
    options = [next(iter(entry.options.values()))[0] for entry in shown]
    assert [(o.default, o.doc) for o in options] == [(1, "Doc 1."), (2, "Doc 2.")]
    found = catalog.plugins(registry(a, b))
    assert [p.shared for p in found if p.name.endswith("-dist:main")] == [
        {"Twin": ["b-dist:main"]},
        {"Twin": ["a-dist:main"]},
    ]


# -- several values where Caffe has one -------------------------------------------------------------------------------


def three_sizes():
    """Two plugins: one reads pooling_param as it is, the other takes several kernel sizes."""
    one = twin(options="pooling_param", claims=classmethod(lambda cls, layer: True))
    many = twin(options=Block("pooling_param", [Field("kernel_size", "uint32", repeated=True)]))
    many.claims = classmethod(lambda cls, layer: bool(layer.pooling_param.KERNEL_SIZE))
    return one, many, registry(one, many)


@pytest.mark.parametrize("sizes", ["kernel_size: 1 kernel_size: 2 kernel_size: 3", "kernel_size: [1, 2, 3]"])
def test_a_class_may_take_several_values_where_caffe_has_one(sizes):
    _, many, found = three_sizes()
    layer = made(found, f"{X} pooling_param {{ pad: 4 {sizes} }}")
    assert type(layer) is many
    assert list(layer.param.kernel_size) == [1, 2, 3] and layer.param.pad == 4


def test_one_value_is_still_one_for_those_who_set_it():
    one, many, found = three_sizes()
    param = made(found, f"{X} pooling_param {{ kernel_size: 3 }}")
    assert type(param) is one and param.param.kernel_size == 3
    message = found.schema.message("NetParameter")()
    message.layer.add().pooling_param.kernel_size = 5
    assert "kernel_size: 5" in prototxt.write(message)
    assert many in {c.thing for c in found.claims("layers", "Twin")}


def test_several_values_are_written_as_they_were_given():
    _, _, found = three_sizes()
    text = 'layer { name: "KERNEL_SIZE: 7" pooling_param { kernel_size: 1 kernel_size: 2 } }'
    net = prototxt.parse(text, found.schema.message("NetParameter"))
    assert "    kernel_size: 1\n    kernel_size: 2\n" in prototxt.write(net)
    assert 'name: "KERNEL_SIZE: 7"' in prototxt.write(net)


def test_who_takes_one_value_is_told_so():
    one, many, found = three_sizes()
    many.claims = classmethod(lambda cls, layer: False)
    with pytest.raises(PluginError, match=r"a-dist:main takes one kernel_size of pooling_param; b-dist:main does not"):
        made(found, f"{X} pooling_param {{ kernel_size: 1 kernel_size: 2 }}")
    with pytest.raises(NetdefError, match="'stride' in PoolingParameter takes one value, but line 2 gives it already"):
        made(found, f"{X} pooling_param {{ stride: 1 stride: 2 }}")
    assert one.options == "pooling_param"


def test_what_holds_several_values_is_no_option():
    _, many, found = three_sizes()
    shown = catalog.layer(found, "Twin")
    names = [[o.name for o in next(iter(each.options.values()))] for each in shown]
    assert not [name for each in names for name in each if name.isupper()]
    kinds = [o.repeated for each in shown for o in next(iter(each.options.values())) if o.name == "kernel_size"]
    assert kinds == [False, True], many


def test_what_another_adds_to_a_block_beside_its_own_tells():
    """A crop of volumes is asked for in transform_param, which no class names in its options."""
    plain = twin(options="hdf5_data_param")
    crops = twin(options="hdf5_data_param", also=("transform_param",))
    crops.claims = classmethod(lambda cls, layer: layer.transform_param.HasField("deep"))
    hook = hookimpl(specname="netdef_options")(
        lambda: [Block(message="TransformationParameter", fields=[Field("deep", "uint32")])]
    )
    found = registry(plain, crops)
    found.add("b-dist:more", SimpleNamespace(netdef_options=hook))
    assert maker(found, f"{X} transform_param {{ deep: 3 }}") is crops
    assert maker(found, f"{X} transform_param {{ scale: 3 }}") is plain
