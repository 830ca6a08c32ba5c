"""Tests of the results of check.sh: python -m unittest"""

import json
import os
import tempfile
import unittest

import results

STEP = """goos: linux
BenchmarkStep/small/32x128/backend=cuda/fp32-16  \t      10\t  {} ns/op\t  57.5 GFLOP/s\t  310 target-tokens/s
PASS
"""
PEER = """a warning
{{
  "torch": "2.11",
  "step_seconds_median": {}
}}
"""


class ResultsTest(unittest.TestCase):
    def test_stages(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "results.json")
            results.add(path, "machine", 0, 1, "a card\n")
            results.add(path, "tests", 124, 60, "too slow\n")
            for ours, theirs in ((10e6, 0.03), (20e6, 0.015)):
                results.add(path, "step small/32x128 fp32", 0, 3, STEP.format(ours))
                results.add(path, "peer small/32x128 fp32", 0, 5, PEER.format(theirs))
            results.add(path, "compiled small/32x128 fp32", 0, 9, PEER.format(0.03))
            results.add(path, "peer base/16x256 fp32", 1, 5, "no card\n")
            results.add(path, "vectors", 0, 2, "BenchmarkVector/copy/9x9/backend=cuda/fp32 \t 3\t 2000 ns/op\t 2900.4 GB/s\n")
            with open(path, encoding="utf-8") as file:
                stages = json.load(file)
            self.assertEqual([stage["stage"] for stage in stages][:2], ["machine", "tests"])
            self.assertEqual([stage.get("output") for stage in stages][:3], ["a card\n", "too slow\n", None])
            lines = list(results.table(path))
        self.assertIn("| tests | 124 | 60 |", lines)
        self.assertIn("| small/32x128 fp32 | 15.00 | 22.50 | 1.50 | 30.00 | 2.00 |", lines)
        self.assertIn("| Vector/copy/9x9/backend=cuda/fp32 | 2.0 | - | 2900 |", lines)
        self.assertFalse([line for line in lines if "base/16x256 fp32 |" in line and line.startswith("| base")])


if __name__ == "__main__":
    unittest.main()
