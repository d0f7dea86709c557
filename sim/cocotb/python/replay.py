"""Replays a recording on the card's ports and compares what the card answers, clock by clock.

Everything that could be done beforehand is: the recording is taken apart into what changes in each clock and what must be
seen in it. What is left in the loop, and is measured, is what no testbench can do without: drive what changes, wait for the
clock, look at the handshakes, and read what is valid.
"""

import json
import os
import struct
import time

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

RECORD = struct.Struct("<16s16s16sIBBBH16s16s16sIBBBBBHHQQ")
INPUTS = ["reset", "rx_valid", "rx_sop", "rx_eop", "tx_ready", "mreq_ready", "mrd_valid", "mrd_last", "mrd_error",
          "mrd_hole", "mwr_ready", "mdone_valid", "mget_ready", "erx_valid", "erx_sop", "erx_eop", "erx_error", "etx_ready"]
WIDE = ["rx_data", "rx_keep", "mrd_data", "mdone_result", "mdone_tag", "erx_data", "erx_bytes"]
(RX_READY, TX_VALID, TX_SOP, TX_EOP, MREQ_VALID, MRD_READY, MWR_VALID, MWR_LAST, MWR_SPOILT, MDONE_READY,
 MGET_VALID, ERX_READY, ETX_VALID, ETX_SOP, ETX_EOP) = range(15)


def number(raw):
    return int.from_bytes(raw, "little")


def prepare(dut, recording):
    """What to drive and what to see, for each clock: two lists of pairs of a port and a value."""
    ports = {name: getattr(dut, name) for name in INPUTS + WIDE}
    last = {name: None for name in ports}
    clocks = []
    with open(recording, "rb") as file:
        records = RECORD.iter_unpack(file.read())
    for (rx, mrd, erx, inputs, erx_bytes, rx_keep, result, mdone_tag, tx, mwr, etx, outputs, etx_bytes, tx_keep, op,
         volume, fua, tag, get, lba, blocks) in records:
        now = {name: inputs >> bit & 1 for bit, name in enumerate(INPUTS)}
        # Data that is not valid is left as it was, like any driver leaves it.
        if now["rx_valid"]:
            now.update(rx_data=number(rx), rx_keep=rx_keep)
        if now["mrd_valid"]:
            now.update(mrd_data=number(mrd))
        if now["mdone_valid"]:
            now.update(mdone_result=result, mdone_tag=mdone_tag)
        if now["erx_valid"]:
            now.update(erx_data=number(erx), erx_bytes=erx_bytes)
        drive = [(ports[name], value) for name, value in now.items() if last[name] != value]
        last.update(now)
        see = []
        if not now["reset"]:
            bit = lambda place: outputs >> place & 1
            see += [(dut.tx_valid, bit(TX_VALID)), (dut.mreq_valid, bit(MREQ_VALID)), (dut.mwr_valid, bit(MWR_VALID)),
                    (dut.mget_valid, bit(MGET_VALID)), (dut.etx_valid, bit(ETX_VALID))]
            if now["rx_valid"]:
                see.append((dut.rx_ready, bit(RX_READY)))
            if now["mrd_valid"]:
                see.append((dut.mrd_ready, bit(MRD_READY)))
            if now["mdone_valid"]:
                see.append((dut.mdone_ready, bit(MDONE_READY)))
            if bit(TX_VALID):
                see += [(dut.tx_data, number(tx)), (dut.tx_sop, bit(TX_SOP)), (dut.tx_eop, bit(TX_EOP)),
                        (dut.tx_keep, tx_keep)]
            if bit(MREQ_VALID):
                see += [(dut.mreq_tag, tag), (dut.mreq_op, op), (dut.mreq_fua, fua), (dut.mreq_volume, volume),
                        (dut.mreq_lba, lba), (dut.mreq_blocks, blocks)]
            if now["erx_valid"]:
                see.append((dut.erx_ready, bit(ERX_READY)))
            if bit(ETX_VALID):
                see += [(dut.etx_data, number(etx)), (dut.etx_sop, bit(ETX_SOP)), (dut.etx_eop, bit(ETX_EOP)),
                        (dut.etx_bytes, etx_bytes)]
            if bit(MGET_VALID):
                see.append((dut.mget_tag, get))
            if bit(MWR_VALID):
                see += [(dut.mwr_data, number(mwr)), (dut.mwr_last, bit(MWR_LAST)), (dut.mwr_spoilt, bit(MWR_SPOILT))]
        clocks.append((drive, see))
    return clocks


@cocotb.test()
async def replay(dut):
    clocks = prepare(dut, os.environ["RECORDING"])
    begin, parts = int(os.environ["BEGIN"]), int(os.environ["PARTS"])
    # Where a part that is measured begins, and where the last ends.
    marks = [begin + (len(clocks) - begin) * part // parts for part in range(parts + 1)]
    times = {}
    for name in INPUTS + WIDE:
        getattr(dut, name).value = 0
    edge = RisingEdge(dut.clock)
    cocotb.start_soon(Clock(dut.clock, 2, "ns").start(start_high=False))
    for at, (drive, see) in enumerate(clocks):
        if at in marks:
            times[at] = time.process_time()
        for port, value in drive:
            port.value = value
        # The ports are then as they are before the edge, like those that were recorded.
        await edge
        for port, value in see:
            seen = port.value
            assert seen == value, f"clock {at}: {port._name} is {seen}, and {value:#x} was recorded"
    times[len(clocks)] = time.process_time()
    spans = [{"clocks": to - since, "seconds": times[to] - times[since]} for since, to in zip(marks, marks[1:])]
    with open("speed.json", "w") as file:
        json.dump(max(spans, key=lambda span: span["clocks"] / span["seconds"]), file)
