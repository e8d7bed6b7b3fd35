"""A load generator: `python -m swapserve.load --help`.

`driver` sends requests at their times, `arrivals` reads and writes lists of them, `workload` makes
such lists from workload files, `report` says what came of it.
"""
