"""Pure passes over a NetParameter: which layers, which wires, which gradients, which memory."""
