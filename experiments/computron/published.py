"""What Computron's paper says (arXiv 2306.13835); seconds."""

from __future__ import annotations

# Two models take turns, one of them is in: response by (tp, pp).
RESPONSES = {
    (1, 1): 1.408,
    (2, 1): 0.801,
    (4, 1): 0.761,
    (1, 2): 0.924,
    (1, 4): 0.722,
    (2, 2): 0.502,
}

# Mean latency of its simulated workloads at each CV, by the models' rates.
CVS = (0.25, 1.0, 4.0)
MEANS = {
    (1, 1, 1): (1.26, 0.61, 0.52),
    (10, 1, 1): (1.17, 0.89, 0.55),
    (10, 10, 1): (1.01, 0.72, 0.37),
    (1, 1, 1, 1, 1, 1): (1.85, 1.28, 0.17),
    (10, 10, 1, 1, 1, 1): (2.02, 1.41, 0.23),
    (10, 10, 10, 10, 1, 1): (1.53, 1.47, 0.31),
}
