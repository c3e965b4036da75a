"""The schema that prototxts are read by, composed of ours and of every plugin's option blocks."""

from types import SimpleNamespace

import pytest
import toys
from netdef_proto import netdef_pb2

from netdef import prototxt
from netdef.errors import NetdefError, PluginError
from netdef.layer import ParameterFree, hookimpl
from netdef.options import Block, Enum, Field
from netdef.registry import Registry, Settings
from netdef.schema import Schema

PERMUTE = Block("permute_param", (Field("order", "uint32", repeated=True),))


def layer(schema, text):
    return prototxt.parse(f"layer {{ {text} }}", schema.message("NetParameter"), "net.prototxt").layer[0]


def schema(*blocks):
    return Schema([(f"plugin{i}", block) for i, block in enumerate(blocks)])


# -- what a block adds ---------------------------------------------------------------------------------------------


def test_a_new_block_parses_as_in_the_fork_that_invented_it():
    found = layer(schema(PERMUTE), 'name: "p" permute_param { order: 0 order: 2 order: 1 }')
    assert list(found.permute_param.order) == [0, 2, 1]


def test_without_the_block_it_is_an_unknown_field():
    with pytest.raises(NetdefError, match=r"net.prototxt:1:19: .*permute_param"):
        layer(Schema(), 'name: "p" permute_param { order: 0 }')


SCALARS = {
    "int32": ("-7", -7, -1, "-1"),
    "int64": ("-5000000000", -5000000000, 3, "3"),
    "uint32": ("7", 7, 4000000000, "4000000000"),
    "uint64": ("7", 7, 1 << 63, str(1 << 63)),
    "float": ("0.25", 0.25, 1e-3, "0.001"),
    "double": ("1e-300", 1e-300, 0.1, "0.1"),
    "bool": ("true", True, True, "true"),
    "string": ('"a b"', "a b", "x y", '"x y"'),
}


@pytest.mark.parametrize("kind", SCALARS)
def test_every_scalar_with_its_default(kind):
    text, value, default, spelled = SCALARS[kind]
    fields = (Field("given", kind, default), Field("plain", kind), Field("many", kind, repeated=True))
    composed = schema(Block("mine_param", fields))
    found = layer(composed, f"mine_param {{ given: {text} plain: {text} many: {text} many: {text} }}").mine_param
    assert found.given == found.plain == value
    assert list(found.many) == [value, value]
    empty = layer(composed, 'name: "x"').mine_param
    assert empty.given == pytest.approx(default)
    assert empty.plain == {"bool": False, "string": ""}.get(kind, 0)
    assert layer(composed, f"mine_param {{ plain: {spelled} }}").mine_param.plain == pytest.approx(default)


def test_an_enum_by_name_and_by_number_with_its_default():
    mode = Enum("Mode", ("NEAREST", "BILINEAR", "CUBIC"))
    composed = schema(Block("resize_param", (Field("mode", mode, "BILINEAR"), Field("first", mode))))
    assert layer(composed, 'name: "r"').resize_param.mode == 1
    assert layer(composed, 'name: "r"').resize_param.first == 0
    assert layer(composed, "resize_param { mode: CUBIC }").resize_param.mode == 2
    assert layer(composed, "resize_param { mode: 2 }").resize_param.mode == 2
    with pytest.raises(NetdefError, match=r"net.prototxt:1:30: .*takes NEAREST, BILINEAR, CUBIC .*, got CUBICS"):
        layer(composed, "resize_param { mode: CUBICS }")


def test_an_enum_numbered_as_in_its_fork():
    code = Enum("CodeType", ("CORNER", "CENTER_SIZE"), first=1)
    composed = schema(Block("prior_param", (Field("code", code),)))
    assert layer(composed, 'name: "p"').prior_param.code == 1
    assert layer(composed, "prior_param { code: 2 }") == layer(composed, "prior_param { code: CENTER_SIZE }")
    with pytest.raises(NetdefError, match="code"):
        layer(composed, "prior_param { code: 0 }")


def test_nested_blocks():
    inner = Block("box", (Field("size", "float", 2.0),), message="Box")
    outer = Block("prior_param", (Field("box", inner), Field("more", inner, repeated=True)))
    found = layer(schema(outer), "prior_param { box { size: 3 } more { } more { size: 5 } }").prior_param
    assert (found.box.size, [m.size for m in found.more]) == (3, [2, 5])


def test_a_message_of_the_schema_by_name():
    found = layer(schema(Block("norm_param", (Field("scale_filler", "FillerParameter"),))), 'name: "n"').norm_param
    assert found.scale_filler.type == "constant"
    assert found.scale_filler.DESCRIPTOR.full_name == "netdef.FillerParameter"


def test_fields_are_added_to_a_block_that_is_there():
    composed = schema(Block("pooling_param", (Field("ceil_mode", "bool", True),)))
    found = layer(composed, "pooling_param { kernel_size: 3 ceil_mode: false }").pooling_param
    assert (found.kernel_size, found.ceil_mode) == (3, False)
    assert layer(composed, 'name: "p"').pooling_param.ceil_mode
    assert composed.owner("PoolingParameter", "ceil_mode") == "plugin0"
    assert composed.owner("PoolingParameter", "kernel_size") is None


def test_fields_are_added_to_a_message_that_is_no_block_of_a_layer():
    composed = schema(Block(message="SolverParameter", fields=(Field("warm", "int32", 3),)))
    found = prototxt.parse("base_lr: 0.1 warm: 5", composed.message("SolverParameter"))
    assert (found.base_lr, found.warm) == (pytest.approx(0.1), 5)


def test_two_plugins_may_add_to_one_block():
    one, two = (Block("shared_param", (Field(name, "int32"),)) for name in ("a", "b"))
    found = layer(schema(one, two), "shared_param { a: 1 b: 2 }").shared_param
    assert (found.a, found.b) == (1, 2)


def test_the_same_declaration_twice_is_one():
    composed = schema(PERMUTE, PERMUTE)
    assert list(layer(composed, "permute_param { order: 1 }").permute_param.order) == [1]
    assert composed.owners("PermuteParameter", "order") == ["plugin0", "plugin1"]


def test_the_words_of_a_field():
    composed = schema(Block("mine_param", (Field("n", "int32", doc="How many."),)))
    assert composed.doc("MineParameter", "n") == "How many."
    assert composed.doc("PoolingParameter", "kernel_size") == ""


# -- numbers -------------------------------------------------------------------------------------------------------


def test_what_was_in_the_schema_keeps_its_numbers():
    composed = schema(PERMUTE, Block("pooling_param", (Field("ceil_mode", "bool"),)))
    for name in netdef_pb2.DESCRIPTOR.message_types_by_name:
        before = netdef_pb2.DESCRIPTOR.message_types_by_name[name].fields
        after = composed.message(name).DESCRIPTOR.fields_by_name
        assert all(after[f.name].number == f.number and after[f.name].type == f.type for f in before)


def test_messages_of_the_composed_schema_are_caffes_on_the_wire():
    found = layer(schema(PERMUTE), 'name: "p" type: "Permute" bottom: "x" permute_param { order: 1 }')
    plain = netdef_pb2.LayerParameter.FromString(found.SerializeToString())
    assert (plain.name, plain.type, list(plain.bottom)) == ("p", "Permute", ["x"])


def test_the_order_of_loading_does_not_change_the_schema():
    blocks = [PERMUTE, Block("a_param", (Field("x", "int32"),)), Block("pooling_param", (Field("y", "bool"),))]
    one, two = schema(*blocks), Schema([(f"plugin{i}", b) for i, b in reversed(list(enumerate(blocks)))])
    for name in ("LayerParameter", "PoolingParameter", "PermuteParameter"):
        fields = [{(f.name, f.number) for f in s.message(name).DESCRIPTOR.fields} for s in (one, two)]
        assert fields[0] == fields[1]


def test_two_schemas_live_side_by_side():
    one = schema(Block("mine_param", (Field("n", "int32", 1),)))
    two = schema(Block("mine_param", (Field("n", "string", "x"),)))
    assert layer(one, "mine_param { n: 5 }").mine_param.n == 5
    assert layer(two, 'mine_param { n: "five" }').mine_param.n == "five"
    assert one.message("NetParameter") is not two.message("NetParameter")
    assert netdef_pb2.NetParameter.DESCRIPTOR.fields_by_name["layer"], "and ours is as it was"
    assert "mine_param" not in netdef_pb2.LayerParameter.DESCRIPTOR.fields_by_name


# -- what is refused -----------------------------------------------------------------------------------------------

CONTRADICTIONS = {
    "a number and a word": (Field("n", "int32"), Field("n", "string")),
    "a number and a block": (Field("n", "int32"), Field("n", Block("n", (Field("m", "int32"),), message="N"))),
    "a number and an enum": (Field("n", "int32"), Field("n", Enum("E", ("A", "B")))),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_types_that_contradict_each_other_name_both_plugins(name):
    blocks = [Block("mine_param", (field,)) for field in CONTRADICTIONS[name]]
    with pytest.raises(PluginError, match=r"option 'n' of MineParameter .*plugin[01].*plugin[01]") as caught:
        schema(*blocks)
    assert all(f"plugin{i}" in str(caught.value) for i in (0, 1))


def test_defaults_that_contradict_each_other_name_both_plugins():
    """Outside a class nobody says who reads them, so neither default may win in silence."""
    with pytest.raises(PluginError, match=r"option 'n' of MineParameter .*plugin0.*plugin1"):
        schema(*(Block("mine_param", (Field("n", "int32", default),)) for default in (1, 2)))


def test_a_field_of_caffes_own_cannot_be_declared_anew():
    with pytest.raises(PluginError, match=r"option 'kernel_size' of PoolingParameter .*Caffe's schema.*plugin0"):
        schema(Block("pooling_param", (Field("kernel_size", "string"),)))


BAD = {
    "integer": lambda: Field("n", "integer"),
    "doubel": lambda: Field("n", "doubel"),
    "NoSuchMessage": lambda: Field("n", "NoSuchMessage"),
    "a default of another type": lambda: Field("n", "int32", "three"),
    "a default out of range": lambda: Field("n", "uint32", -1),
    "a default that is no value of the enum": lambda: Field("n", Enum("E", ("A",)), "B"),
    "a default for many": lambda: Field("n", "int32", 3, repeated=True),
    "a name with a hyphen": lambda: Field("n-m", "int32"),
    "an enum without values": lambda: Field("n", Enum("E", ())),
}


@pytest.mark.parametrize("name", BAD)
def test_declarations_that_no_prototxt_could_hold(name):
    with pytest.raises(PluginError):
        schema(Block("mine_param", (BAD[name](),)))


def test_a_block_cannot_take_the_name_of_a_layers_field():
    with pytest.raises(PluginError, match="'bottom' cannot name an option block"):
        schema(Block("bottom", (Field("n", "int32"),)))


# -- in a registry -------------------------------------------------------------------------------------------------


def plugin(name, options, default=0):
    class Made(ParameterFree):
        type = name

        def forward(self, bottom, top):
            top[0].data[...] = self.param.n

        def backward(self, top, propagate_down, bottom):
            pass

    Made.options = options
    return SimpleNamespace(netdef_layers=hookimpl(specname="netdef_layers")(lambda: [Made]))


def registry(*plugins):
    found = Registry(Settings())
    toys_layers = hookimpl(specname="netdef_layers")(lambda: toys.LAYERS)
    found.add("toys", SimpleNamespace(netdef_layers=toys_layers))
    for name, module in plugins:
        found.add(name, module)
    return found


def test_a_layer_reads_its_own_block_with_defaults():
    found = registry(("p", plugin("Const", Block("const_param", (Field("n", "float", 2.5),)))))
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
    for option, want in (("", 2.5), ("const_param { n: 4 }", 4)):
        net = toys.net(text + f'layer {{ name: "c" type: "Const" bottom: "x" top: "c" {option} }}', registry_=found)
        net.forward()
        assert (net.blobs["c"].data == want).all()


def test_two_classes_with_one_block_keep_their_own_defaults():
    one, two = (plugin(name, Block("n_param", (Field("n", "float", n),))) for name, n in (("One", 1), ("Two", 2)))
    found = registry(("one", one), ("two", two))
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
    for kind, want in (("One", 1), ("Two", 2)):
        net = toys.net(text + f'layer {{ name: "c" type: "{kind}" bottom: "x" top: "c" }}', registry_=found)
        net.forward()
        assert (net.blobs["c"].data == want).all()


def test_a_plugin_whose_options_do_not_fit_in_is_withdrawn_and_the_rest_works():
    good = plugin("Good", Block("n_param", (Field("n", "float", 1),)))
    bad = plugin("Bad", Block("n_param", (Field("n", "string"),)))
    found = registry(("good", good), ("bad", bad))
    assert found.schema.message("NetParameter")
    assert "Good" in found.names("layers")
    assert "Bad" not in found.names("layers")
    (failed,) = [p for p in found.plugins if p.error]
    assert failed.name == "bad"
    assert "good" in failed.error


def test_options_beyond_the_classes():
    module = SimpleNamespace(
        netdef_options=hookimpl(specname="netdef_options")(
            lambda: [Block("transform_param", (Field("blur", "float"),)), PERMUTE]
        )
    )
    found = layer(registry(("p", module)).schema, "transform_param { blur: 2 } permute_param { order: 1 }")
    assert found.transform_param.blur == 2
    assert list(found.permute_param.order) == [1]


def test_a_plugin_added_later_joins_the_schema():
    found = registry()
    assert "n_param" not in found.schema.message("LayerParameter").DESCRIPTOR.fields_by_name
    found.add("p", plugin("Late", Block("n_param", (Field("n", "float"),))))
    assert "n_param" in found.schema.message("LayerParameter").DESCRIPTOR.fields_by_name
