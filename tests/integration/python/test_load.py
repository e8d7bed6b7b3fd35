"""The load generator's own parts: draws, workloads, lists of arrivals, figures."""

import math
import os
import statistics
import tempfile
import unittest

from swapserve.load import __main__, arrivals, draw, process, report, units, workload
from swapserve.load.arrivals import Arrival, LoadError
from swapserve.load.driver import Outcome

NAMES = ["a", "b", "c"]


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def expect_wrong(self, call, *words):
        with self.assertRaises(LoadError) as raised:
            call()
        for word in words:
            self.assertIn(word, str(raised.exception))


class DrawTest(unittest.TestCase):
    def test_mixer(self):
        # SplitMix64 seeded with 1234567: its reference implementation's first outputs.
        wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423]
        self.assertEqual([draw.random_u64(1234567, i) for i in range(3)], wanted)

    def test_moments(self):
        """Of renewal gaps, from 20,000 draws each, to four standard errors of the mean."""
        for cv in (0.25, 1.0, 4.0):
            gaps = [draw.gap(draw.event(7, draw.GAP, i), 2.0, cv) for i in range(20000)]
            self.assertLess(abs(statistics.fmean(gaps) - 0.5), 4 * 0.5 * cv / math.sqrt(20000))
            self.assertLess(abs(statistics.pstdev(gaps) / 0.5 / cv - 1), 0.1)
        self.assertEqual(draw.gap(1, 4.0, 0.0), 0.25)


class ArrivalsTest(Folder):
    def test_round_trip(self):
        made = [Arrival(1, "a", 5, 2), Arrival(1_500_000_000, "b", 1, 1, "batch")]
        path = os.path.join(self.folder, "list.csv")
        arrivals.write(path, made)
        self.assertEqual(arrivals.read(path), made)

    def test_mistakes(self):
        header = "time_s,model,prompt_tokens,output_tokens,class\n"
        for text, words in [
            ("", ("another first line",)),
            (header + "1,a,1,1\n", (":2:", "4 columns")),
            (header + "x,a,1,1,normal\n", (":2:", "is no time")),
            (header + "1,a,-1,1,normal\n", ("prompt_tokens",)),
            (header + "1,a,1,1,urgent\n", ("urgent", "realtime")),
            (header + "2,a,1,1,normal\n1,a,1,1,normal\n", (":3:", "before")),
        ]:
            path = self.file("list.csv", text)
            self.expect_wrong(lambda path=path: arrivals.read(path), path, *words)

    def test_shift(self):
        made = [Arrival(i * 10**9, "a", 1, 1) for i in range(10)]
        kept = arrivals.shift(made, 4 * 10**9, 2.0)
        self.assertEqual([item.at_ns for item in kept], [0, 5 * 10**8, 10**9, 15 * 10**8])


class WorkloadTest(Folder):
    def make(self, text, seed=0, names=NAMES):
        source = process.Arrivals(workload.read(self.file("w.yaml", text)), names, seed)
        return list(iter(source.next, None))

    def test_rates(self):
        made = self.make("duration: 400s\nstreams:\n  - gamma: {rate: [4, 1, 1], cv: 0.25}\n")
        for model, rate in zip(NAMES, (4, 1, 1)):
            row = report.rates(made, 400)[model]
            self.assertLess(abs(row["rate"] / rate - 1), 0.1)
            self.assertLess(abs(row["cv"] - 0.25), 0.05)
        times = [item.at_ns for item in made]
        self.assertEqual(times, sorted(times))

    def test_zipf_and_lengths(self):
        made = self.make(
            "requests: 3000\nprompt: {median: 50, sigma: 0.5, max: 60}\noutput: {tokens: 3}\n"
            "streams:\n  - {zipf: {rate: 10}, class: batch}\n"
        )
        self.assertEqual(len(made), 3000)
        counts = [sum(item.model == name for item in made) for name in NAMES]
        for count, share in zip(counts, (6 / 11, 3 / 11, 2 / 11)):
            self.assertLess(abs(count / 3000 - share), 0.04)
        lengths = [item.prompt_tokens for item in made]
        self.assertEqual(max(lengths), 60)
        self.assertLess(abs(statistics.median(lengths) - 50), 3)
        self.assertEqual({(item.output_tokens, item.request_class) for item in made}, {(3, "batch")})

    def test_mmpp(self):
        """Half of the time at 0, half at 20 a second; gaps more unequal than Poisson's."""
        made = self.make(
            "duration: 600s\nstreams:\n  - models: b\n    mmpp: {rates: [0, 20], dwell: [5s, 5s]}\n"
        )
        row = report.rates(made, 600)["b"]
        self.assertLess(abs(row["rate"] - 10), 2.5)
        self.assertGreater(row["cv"], 2)

    def test_cyclic_window_and_patterns(self):
        made = self.make(
            "duration: 10s\nstreams:\n"
            "  - {models: 'x*', cyclic: {rate: 2}, from: 2s, until: 4s}\n",
            names=["x1", "y", "x2"],
        )
        self.assertEqual([item.model for item in made], ["x1", "x2", "x1"])
        self.assertEqual([item.at_ns for item in made], [2500000000, 3000000000, 3500000000])

    def test_turns(self):
        path = self.file(
            "w.yaml", "duration: 10s\nstreams:\n  - turns: {clients: 2, think: 10ms}\n"
        )
        source = process.Arrivals(workload.read(path), NAMES, 0)
        first = [source.next(), source.next()]
        self.assertEqual([item.model for item in first], ["a", "b"])
        self.assertIsNone(source.next())
        after = source.answered(first[0].process, 5 * 10**9, False)
        self.assertEqual((after.model, after.at_ns), ("c", 5_010_000_000))
        after = source.answered(0, 6 * 10**9, True)
        self.assertEqual(after.at_ns, 6_100_000_000, "who is refused pauses")
        self.assertIsNone(source.answered(0, 9_990_000_000, False))

    def test_azure_trace(self):
        self.file(
            "trace.csv",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n"
            "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:16:50.9951690,4808,10\n"
            "2023-11-17T00:00:00+00:00,3180,8\n",
        )
        made = self.make(
            "prompt: {max: 400}\nstreams:\n  - {models: c, trace: {csv: trace.csv, speed: 2}}\n"
        )
        self.assertEqual(
            [(item.at_ns, item.model, item.prompt_tokens, item.output_tokens) for item in made],
            [(0, "c", 374, 44), (32157289500, "c", 400, 10), (10326659705000, "c", 400, 8)],
        )

    def test_mistakes(self):
        for text, words in [
            ("streams: []\nduration: 1s\n", ("streams",)),
            ("streams:\n  - poisson: {rate: 1}\n", ("duration",)),
            ("duration: 1\nstreams:\n  - poisson: {rate: 1}\n", ("duration", "ms")),
            ("duration: 1s\nstreams:\n  - {poisson: {rate: x}}\n", ("streams[0].poisson.rate",)),
            ("duration: 1s\nstreams:\n  - {poisson: {rates: 1}}\n", ("rates", "unknown")),
            ("duration: 1s\nstreams:\n  - {class: batch}\n", ("no arrivals",)),
            ("duration: 1s\nstreams:\n  - {mmpp: {rates: [1, 2], dwell: 1s}}\n", ("dwell",)),
            ("duration: 1s\nstreams:\n  - {poisson: {rate: [1, 2]}}\n", ("2 rates",)),
            ("duration: 1s\nstreams:\n  - {models: z, poisson: {rate: 1}}\n", ("found z",)),
            ("a: [", ("w.yaml",)),
        ]:
            self.expect_wrong(lambda text=text: self.make(text), "w.yaml", *words)


class ReportTest(unittest.TestCase):
    def test_percentiles(self):
        values = [float(i) for i in range(1, 101)]
        self.assertEqual(report.percentile(values, 0.5), 50)
        self.assertEqual(report.percentile(values, 0.99), 99)
        self.assertEqual(report.percentile([3.0], 0.999), 3)

    def test_attainment_counts_refusals(self):
        arrival = Arrival(10**9, "a", 1, 1)
        good = Outcome(arrival, 1.0, 1.1, 1.2, 1, "length")
        refused = Outcome(arrival, 1.0, None, 1.01, 0, "overloaded")
        self.assertEqual(report.attainment([good, refused], 0.3), 0.5)
        self.assertEqual(report.attainment([good, refused], 0.1), 0.0)

    def test_exit_status(self):
        def status(answered, requests, attained=None):
            summary = {"answered": answered, "requests": requests}
            if attained is not None or not requests:
                summary |= {"slo_s": 0.5, "slo_attainment": attained}
            return __main__.exit_status(summary, 0.99)

        self.assertEqual(status(10, 10, 0.99), (0, ""))
        self.assertEqual(status(10, 10, 0.98), (3, ""))
        self.assertEqual(status(0, 10), (1, ""))
        for code, text in (status(0, 10, 0.0), status(0, 0)):
            self.assertEqual(code, 3)
            self.assertIn("answered", text)

    def test_late_generators_are_flagged(self):
        def flagged(late_p99, latency_p50):
            return report.is_late({"sent_late_s": {"p99": late_p99}, "latency_s": {"p50": latency_p50}})

        self.assertFalse(flagged(0.003, 0.036))
        self.assertTrue(flagged(0.085, 0.036))
        self.assertFalse(flagged(None, None))

    def test_gaps_between_tokens(self):
        some = Outcome(Arrival(0, "a", 1, 3), 0.0, tokens_s=[0.5, 0.75, 1.75])
        other = Outcome(Arrival(0, "b", 1, 2), 0.0, tokens_s=[0.625])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokens.csv")
            report.write_tokens(path, [some, other])
            with open(path, encoding="utf-8") as file:
                lines = [line.split(",") for line in file.read().splitlines()]
        self.assertEqual(lines[0], report.TOKEN_COLUMNS)
        self.assertEqual([line[1] for line in lines[1:]], ["a", "b", "a", "a"])
        self.assertEqual([line[2] for line in lines[1:3]], ["", ""])
        self.assertEqual([float(line[2]) for line in lines[3:]], [0.25, 1.0])

    def test_units(self):
        self.assertEqual(units.parse("250ms", units.TIMES), 0.25)
        self.assertEqual(units.parse("1.5 GiB", units.SIZES), 1.5 * 2**30)
        self.assertEqual(units.parse("0", units.RATES), 0)
        with self.assertRaises(ValueError):
            units.parse("3", units.TIMES)


if __name__ == "__main__":
    unittest.main()
