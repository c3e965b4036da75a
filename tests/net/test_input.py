"""What a user writes into an input goes in, whatever the layers do with its name."""

import toys


def test_an_input_made_anew_in_place_is_still_where_one_writes():
    text = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }'
    text += 'layer { name: "opaque" type: "Opaque" bottom: "data" top: "data" }'
    text += 'layer { name: "same" type: "Same" bottom: "data" top: "out" }'
    net = toys.net(text)
    net.blobs["data"].data[...] = 7
    net.forward()
    assert net.blobs["out"].data == 7
    assert net.latest["data"] is not net.blobs["data"]
