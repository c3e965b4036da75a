"""Several plugins that provide one type: which class makes a layer."""

import pytest
import toys
from plugins_api.probes import INPUT, X, made, maker, registry, twin

from netdef.errors import NetdefError, PluginError
from netdef.graph.choose import provider
from netdef.layer import Block, Enum, Field

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
