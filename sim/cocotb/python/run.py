"""Runs replay.py on the model that build.py made."""

import sys

from cocotb.runner import get_results, get_runner

build, top, recording, begin, parts = sys.argv[1:]
results = get_runner("verilator").test(
    hdl_toplevel=top,
    hdl_toplevel_lang="verilog",
    test_module="replay",
    build_dir=build,
    test_dir=".",
    results_xml="results.xml",
    extra_env={"RECORDING": recording, "BEGIN": begin, "PARTS": parts, "COCOTB_REDUCED_LOG_FMT": "1"},
)
tests, failed = get_results(results)
sys.exit(tests == 0 or failed > 0)
