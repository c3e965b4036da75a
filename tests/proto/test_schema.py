"""The schema is Caffe's, number for number, and the generated module is the schema's."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from netdef_proto import comments, netdef_pb2

PROTO = Path(netdef_pb2.__file__).with_name("netdef.proto")
OURS = {
    "LayerParameter.netdef_origin": 1000,
    "V1LayerParameter.netdef_origin": 1000,
    "V0LayerParameter.netdef_origin": 1000,
    "SolverState.netdef_seed": 1000,
    "SolverState.netdef_passes": 1001,
    "SolverState.netdef_losses": 1002,
    "SolverState.netdef_policy": 1003,
    "SolverState.netdef_best": 1004,
    "SolverState.netdef_best_iter": 1005,
    "SolverState.netdef_stale": 1006,
    "SolverState.netdef_recoveries": 1007,
    "SolverState.netdef_type": 1008,
    "SolverParameter.warmup_iter": 1000,
    "SolverParameter.warmup_start_lr": 1001,
    "SolverParameter.plateau_winsize": 1002,
    "SolverParameter.min_lr": 1003,
    "SolverParameter.max_epoch": 1010,
    "SolverParameter.test_interval_epoch": 1011,
    "SolverParameter.snapshot_epoch": 1012,
    "SolverParameter.stepsize_epoch": 1013,
    "SolverParameter.stepvalue_epoch": 1014,
    "SolverParameter.warmup_epoch": 1015,
    "SolverParameter.patience": 1020,
    "SolverParameter.min_improvement": 1021,
    "SolverParameter.best_by": 1022,
    "SolverParameter.best_is_larger": 1023,
    "SolverParameter.keep_best": 1024,
    "SolverParameter.snapshot_keep": 1025,
    "SolverParameter.stop_on_nan": 1030,
    "SolverParameter.recoveries": 1031,
    "SolverParameter.statistics_interval": 1032,
}
OUR_MESSAGES = {"NetPasses"}
# numbers that Caffe itself took from our range, before it was ours
CAFFES = {
    "V1LayerParameter.param": 1001,
    "V1LayerParameter.blob_share_mode": 1002,
    "V0LayerParameter.hdf5_output_param": 1001,
}

Proto = descriptor_pb2.FieldDescriptorProto
TYPES = {
    getattr(Proto, f"TYPE_{name.upper()}"): name
    for name in ("int32", "int64", "uint32", "uint64", "float", "double", "bool", "string", "bytes")
}
LABELS = {
    Proto.LABEL_OPTIONAL: "optional",
    Proto.LABEL_REQUIRED: "required",
    Proto.LABEL_REPEATED: "repeated",
}


def described() -> descriptor_pb2.FileDescriptorProto:
    return descriptor_pb2.FileDescriptorProto.FromString(netdef_pb2.DESCRIPTOR.serialized_pb)


def fields(file: descriptor_pb2.FileDescriptorProto) -> dict[str, tuple[int, str, str, str, bool]]:
    """Message.field -> number, label, type, default, packed."""
    return {
        f"{message.name}.{field.name}": (
            field.number,
            LABELS[field.label],
            TYPES.get(field.type) or field.type_name.removeprefix(f".{file.package}."),
            field.default_value,
            field.options.packed,
        )
        for message in file.message_type
        for field in message.field
    }


def values(file: descriptor_pb2.FileDescriptorProto) -> dict[str, int]:
    """Enum.VALUE -> number, the message in front of an inner enum."""
    enums = [(enum.name, enum) for enum in file.enum_type]
    enums += [(f"{message.name}.{enum.name}", enum) for message in file.message_type for enum in message.enum_type]
    return {f"{name}.{value.name}": value.number for name, enum in enums for value in enum.value}


def same_default(ours: str, theirs: str) -> bool:
    try:  # as floats, since protoc writes 1e-08 as 9.99999994e-09
        return ours == theirs or bool(np.float32(ours) == np.float32(theirs))
    except ValueError:
        return False


def test_every_field_is_caffes(shared: Path) -> None:
    theirs = descriptor_pb2.FileDescriptorSet.FromString((shared / "caffe/bvlc_schema.pb").read_bytes()).file[0]
    ours = {name: field for name, field in fields(described()).items() if name.split(".")[0] not in OUR_MESSAGES}
    caffes = fields(theirs)
    assert ours.keys() - OURS.keys() == caffes.keys()
    for name, (*kind, default, packed) in caffes.items():
        assert [*ours[name][:3], ours[name][4]] == [*kind, packed], name
        assert same_default(ours[name][3], default), name
    assert values(described()) == values(theirs)


def test_every_row_of_the_table_is_there(shared: Path) -> None:
    ours, numbers = fields(described()), values(described())
    with (shared / "caffe/schema.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 500
    for row in rows:
        name = f"{row['message']}.{row['name']}"
        if row["kind"] == "enum":
            assert numbers[name] == int(row["number"]), name
            continue
        number, label, type_, default, packed = ours[name]
        assert (number, label, type_) == (int(row["number"]), row["label"], row["type"]), name
        assert same_default(default, row["default"]), name
        assert packed == (row["options"] == "packed"), name


def test_numbers_from_1000_on_are_ours_alone() -> None:
    high = {name: field[0] for name, field in fields(described()).items() if field[0] >= 1000}
    assert high == OURS | CAFFES


def test_what_is_ours_says_so() -> None:
    for name in OURS:  # settings that people write have plain names, where a fork has one the fork's
        assert name.split(".")[0] == "SolverParameter" or name.split(".")[1].startswith("netdef_")
    for name in [*OURS, *OUR_MESSAGES]:
        assert comments()[name].startswith("netdef's own: "), name


def parsed(text: str) -> tuple[dict[str, tuple[int, str, str, str, bool]], dict[str, int]]:
    """The fields and enum values that a .proto text of our own plain style declares."""
    found: dict[str, tuple[int, str, str, str, bool]] = {}
    numbers: dict[str, int] = {}
    inside: list[str] = []
    for line in text.splitlines():
        line = line.split("//")[0].strip()
        if opened := re.fullmatch(r"(?:message|enum) (\w+) \{", line):
            inside.append(opened[1])
        elif line == "}":
            inside.pop()
        elif field := re.fullmatch(r"(optional|required|repeated) (\S+) (\w+) = (\d+)(?: \[(.*)\])?;", line):
            options = dict(option.split(" = ") for option in (field[5] or "").split(", ") if option)
            default = options.get("default", "").strip('"')
            found[f"{inside[0]}.{field[3]}"] = (int(field[4]), field[1], field[2], default, "packed" in options)
        elif value := re.fullmatch(r"(\w+) = (\d+);", line):
            numbers[".".join([*inside, value[1]])] = int(value[2])
        else:
            assert not line or line.startswith(("syntax", "package")), line
    return found, numbers


def test_generated_module_is_in_step_with_the_proto() -> None:
    found, numbers = parsed(PROTO.read_text("utf-8"))
    compiled = fields(described())
    assert numbers == values(described())
    assert found.keys() == compiled.keys()
    for name, (number, label, type_, default, packed) in compiled.items():
        written = found[name]
        assert (written[0], written[1], written[4]) == (number, label, packed), name
        assert type_ in (written[2], f"{name.split('.')[0]}.{written[2]}"), name
        assert same_default(written[3], default), name


def test_every_message_and_field_is_explained() -> None:
    file = described()
    names = [message.name for message in file.message_type if not message.name.endswith("Parameter")]
    names += [name for name in fields(file) if not re.match(r"(V1)?LayerParameter\.\w+_param$", name)]
    assert [name for name in names if name not in comments()] == []
    known = {*fields(file), *values(file), *(message.name for message in file.message_type)}
    assert {name for name in comments() if name not in known} <= {key.rpartition(".")[0] for key in values(file)}


def test_a_comment_is_one_plain_sentence() -> None:
    assert comments()["LRNParameter.k"] == (
        "What is added to the mean square; WITHIN_CHANNEL takes 1 whatever is given."
    )
    for name, text in comments().items():
        assert text[-1] == "." and len(text) < 200, name


@pytest.mark.parametrize("name", ["netdef.proto", "netdef_pb2.pyi"])
def test_shipped_beside_the_module(name: str) -> None:
    assert PROTO.with_name(name).is_file()
