"""Several plugins that provide one type: what each sees of its options, and where one takes several values."""

from types import SimpleNamespace

import pytest
import toys
from plugins_api.probes import INPUT, X, made, maker, registry, twin

from netdef import prototxt
from netdef.errors import NetdefError, PluginError
from netdef.layer import Block, Enum, Field, hookimpl
from netdef.report import catalog


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
