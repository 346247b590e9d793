from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from longeval.nll import Losses
from longeval.nll_store import Store
from longeval.passes import Block, Pass, blocks, merge
from longeval.windows import longlora

PASSES = merge([longlora(num_tokens=300, ctx=16, stride=8)], prefixes=True).passes
BLOCKS = blocks(PASSES, batch_size=1)


def fake(block: Block) -> Sequence[Losses]:
    return [np.arange(one.num_scored, dtype=np.float32) + one.start for one in block.passes]


def test_what_is_written_is_read_again_to_the_bit(tmp_path: Path) -> None:
    with Store(tmp_path, key="a") as store:
        assert store.read(BLOCKS[0]) is None
        assert list(store.compute(BLOCKS, fake)) == BLOCKS
        for block in BLOCKS:
            found = store.read(block)
            assert found is not None
            for one, wanted in zip(found, fake(block), strict=True):
                np.testing.assert_array_equal(one, wanted)


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    calls = []

    def counting(block: Block) -> Sequence[Losses]:
        calls.append(block)
        return fake(block)

    for _ in range(2):
        with Store(tmp_path, key="a") as store:
            list(store.compute(BLOCKS, counting))
    assert len(calls) == len(BLOCKS)
    with Store(tmp_path, key="another model") as store:
        list(store.compute(BLOCKS[:1], counting))
    assert len(calls) == len(BLOCKS) + 1


def test_another_pass_or_batch_has_another_file(tmp_path: Path) -> None:
    one, two = Pass(0, 16, False, ((1, 16),)), Pass(0, 16, False, ((2, 16),))
    with Store(tmp_path, key="a") as store:
        named = [
            store.path(Block(batches=batches))
            for batches in (((one,),), ((two,),), ((one, two),), ((one,), (two,)))
        ]
    assert len(set(named)) == 4


@pytest.mark.parametrize("damage", ["torn", "flipped", "renamed", "empty"])
def test_a_damaged_file_is_found_out_and_done_again(tmp_path: Path, damage: str) -> None:
    with Store(tmp_path, key="a") as store:
        list(store.compute(BLOCKS, fake))
        path = store.path(BLOCKS[1])
        raw = path.read_bytes()
        if damage == "torn":
            path.write_bytes(raw[:-4])
        elif damage == "flipped":
            path.write_bytes(raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:])
        elif damage == "renamed":
            path.write_bytes(store.path(BLOCKS[2]).read_bytes())
        else:
            path.write_bytes(b"")
        assert store.read(BLOCKS[1]) is None
        assert store.damaged == 1
        list(store.compute(BLOCKS, fake))
        assert path.read_bytes() == raw


def test_processes_share_the_work_and_one_that_dies_leaves_its_block_to_the_others(
    tmp_path: Path,
) -> None:
    """A process claims a block and is killed while at it; the next one does not wait for it."""
    script = textwrap.dedent("""
        import os, signal, sys, test_longeval_nll_store as t
        from longeval.nll_store import Store
        def dying(block):
            if block == t.BLOCKS[3]:
                os.kill(os.getpid(), signal.SIGKILL)
            return t.fake(block)
        with Store(t.Path(sys.argv[1]), key="a") as store:
            list(store.compute(t.BLOCKS, dying))
    """)
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    assert ended.returncode == -9
    done = []

    def counting(block: Block) -> Sequence[Losses]:
        done.append(block)
        return fake(block)

    with Store(tmp_path, key="a") as store:
        list(store.compute(BLOCKS, counting))
    assert done == BLOCKS[3:]


def test_a_block_that_another_process_is_at_is_waited_for(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, test_longeval_nll_store as t
        from longeval.nll_store import Store
        def slow(block):
            print("claimed", flush=True)
            sys.stdin.readline()
            return t.fake(block)
        with Store(t.Path(sys.argv[1]), key="a") as store:
            next(iter(store.compute(t.BLOCKS, slow)))
    """)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        done = []

        def counting(block: Block) -> Sequence[Losses]:
            done.append(block)
            if len(done) == len(BLOCKS) - 1:  # now only the other's block is missing
                assert other.stdin is not None
                other.stdin.write("go on\n")
                other.stdin.flush()
            return fake(block)

        with Store(tmp_path, key="a") as store:
            yielded = list(store.compute(BLOCKS, counting))
    assert done == BLOCKS[1:]
    assert yielded == [*BLOCKS[1:], BLOCKS[0]]
