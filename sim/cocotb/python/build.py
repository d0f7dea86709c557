"""Builds the model as cocotb builds it, with its own runner; but for speed, which it does not do by itself."""

import sys

from cocotb.runner import get_runner

source, top, checks = sys.argv[1:]
get_runner("verilator").build(
    verilog_sources=[source],
    hdl_toplevel=top,
    build_dir="build",
    build_args=["--language", "1800-2017", "-Wno-fatal", "-O3", "--assert", "--output-split", "20000", checks],
)
