"""What the tests of weights share: protobuf's own classes of the schema, as the independent reader and writer."""

import pytest
from netdef_proto import netdef_pb2


@pytest.fixture
def pb():
    return netdef_pb2
