"""Computron's published figures (Zou et al., arXiv 2306.13835) and how we set ours beside them.

4x A100, PCIe 4.0, OPT-13B in fp16, two models taking turns, one resident; seconds.
"""

LINK_BYTES_PER_S = 32e9  # PCIe 4.0 x16, one way, nominal
MODEL_BYTES = 25.71e9
TIMES = {  # (tp, pp): offload, load, response
    (1, 1): (1.238, 1.350, 1.408),
    (2, 1): (0.632, 0.732, 0.801),
    (4, 1): (0.447, 0.689, 0.761),
    (1, 2): (0.621, 0.858, 0.924),
    (1, 4): (0.380, 0.645, 0.722),
    (2, 2): (0.318, 0.423, 0.502),
}


def nominal_seconds(model_bytes: float, ranks: int, link_bytes_per_s: float) -> float:
    """What the model's bytes, counted once, take over all links at their nominal rate."""
    return model_bytes / (ranks * link_bytes_per_s)


def share(layout: tuple[int, int], column: int) -> float:
    """Of the nominal rate of all links; COLUMN is 0 for offload, 1 for load, 2 for the response."""
    nominal = nominal_seconds(MODEL_BYTES, layout[0] * layout[1], LINK_BYTES_PER_S)
    return nominal / TIMES[layout][column]
