"""Benchmarks: what goes over the wire, measured beside the tools that people use today.

    python -m tests.bench.NAME [--quick]

* One JSON object is the last line of standard output; progress goes to standard error.
* Sizes are bytes, all in. A peer runs in the same process tree, on the same trees; one that
  is not installed is null (`make services` installs them).
* What was packed is unpacked by another process and compared byte for byte.
* Nothing here is a timed test: tests/test_bench.py only runs each with tiny inputs.
"""
