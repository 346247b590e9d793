"""Time of shifted sparse attention, forward and backward, against full attention and the roll form.

    python benchmarks/s2_attention.py [--lengths 4096 8192] [--repeat 3]

One attention layer, one row, random queries, keys and values; on a CPU one thread's processor time.
Compared are: full causal attention (torch's SDPA); the published form that rolls half of the heads
(keys repeated for all heads, one SDPA call, the leak included); and ours, as the layers of a model
call it. The column "limit" is the ratio of the query-key pairs seen, which is what a perfect kernel
would gain over full attention. With a GPU, further rows come from it: bfloat16, longer rows, the
fastest of the kernels that run there for each form, packed documents, and the peak of memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from longtune.attention import shifted_sparse
from longtune.kernels import attend
from longtune.segments import cut, rows

Form = Callable[[Tensor, Tensor, Tensor], Tensor]
CPU_HEADS = (8, 2, 64)  # query heads, key-value heads, numbers per head
GPU_HEADS = (32, 8, 128)
GPU_LENGTHS = (32_768, 65_536, 100_000)
GPU_KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION)
DOCUMENTS = 7  # in a packed row


def main() -> None:
    """Measure, print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 8192])
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # processor time of one thread is not disturbed by other programs
    print(f"{machine()}; float32, {heads_in_words(CPU_HEADS)}; fastest of {arguments.repeat}\n")
    print("| tokens | group | full | roll | ours | full / ours | limit | roll / ours |")
    print("|---|---|---|---|---|---|---|---|")
    for length in arguments.lengths:
        for group_size in (length // 4, length // 8):
            compare_on_cpu(length, group_size, arguments.repeat)
    if not torch.cuda.is_available():
        print("\nNo CUDA device: nothing was measured on a GPU.")
        return
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}; bfloat16, ", end="")
    print(
        f"{heads_in_words(GPU_HEADS)}; fastest of {arguments.repeat}; peak = GiB above the inputs\n"
    )
    print("| tokens | group | form | ms | full / this | limit | peak |")
    print("|---|---|---|---|---|---|---|")
    for length in GPU_LENGTHS:
        compare_on_gpu(length, sorted({length // 8 * 2, 8192}, reverse=True), arguments.repeat)


def compare_on_cpu(length: int, group_size: int, repeat: int) -> None:
    """One line: full, roll and ours, the same inputs."""
    inputs = draw(length, CPU_HEADS, "cpu", torch.float32)
    full, roll, ours = (
        seconds(form, inputs, repeat)
        for form in (
            full_attention(length),
            rolled(group_size),
            sparse(rows(1, length), group_size),
        )
    )
    print(
        f"| {length:,} | {group_size:,} | {1e3 * full:.0f} ms | {1e3 * roll:.0f} ms "
        f"| {1e3 * ours:.0f} ms | {full / ours:.2f} | {limit(length, group_size):.2f} "
        f"| {roll / ours:.2f} |"
    )


def compare_on_gpu(length: int, group_sizes: list[int], repeat: int) -> None:
    """Full attention, then each form at each group size."""
    inputs = draw(length, GPU_HEADS, "cuda", torch.bfloat16)
    full, name, peak = fastest(full_attention(length), inputs, repeat)
    print(f"| {length:,} | – | full, {name} | {1e3 * full:.1f} | 1 | 1 | {peak:.2f} |")
    packed = tuple(length * index // DOCUMENTS for index in range(DOCUMENTS + 1))
    for group_size in group_sizes:
        forms = {"ours": sparse(rows(1, length), group_size)}
        if length % group_size == 0:
            forms["roll"] = rolled(group_size)
        for form_name, form in forms.items():
            taken, name, peak = fastest(form, inputs, repeat)
            print(
                f"| {length:,} | {group_size:,} | {form_name}, {name} | {1e3 * taken:.1f} "
                f"| {full / taken:.2f} | {limit(length, group_size):.2f} | {peak:.2f} |"
            )
        taken, _, peak = fastest(sparse(packed, group_size), inputs, repeat)
        print(
            f"| {length:,} | {group_size:,} | ours, {DOCUMENTS} packed documents "
            f"| {1e3 * taken:.1f} | {full / taken:.2f} | | {peak:.2f} |"
        )


def full_attention(length: int) -> Form:
    """Causal attention over the whole row."""
    return lambda q, k, v: attend(q, k, v, rows(1, length))


def sparse(bounds: tuple[int, ...], group_size: int) -> Form:
    """Ours."""
    return lambda q, k, v: shifted_sparse(q, k, v, bounds, group_size)


def rolled(group_size: int) -> Form:
    """The published form: repeat keys, roll half of the heads, groups as a batch, roll back."""

    def form(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        times = query.shape[1] // key.shape[1]
        grouped = [
            roll_half(x.repeat_interleave(times, dim=1) if x is not query else x, -group_size // 2)
            .unflatten(0, (-1, group_size))
            .transpose(1, 2)
            for x in (query, key, value)
        ]
        out = scaled_dot_product_attention(*grouped, is_causal=True)
        return roll_half(out.transpose(1, 2).flatten(0, 1), group_size // 2)

    return form


def roll_half(x: Tensor, shift: int) -> Tensor:
    """The second half of the heads, moved along the tokens."""
    plain, shifted = x.chunk(2, dim=1)
    return torch.cat([plain, shifted.roll(shift, dims=0)], dim=1)


def limit(length: int, group_size: int) -> float:
    """Query-key pairs of full attention per pair of the sparse one, over both halves."""
    whole = rows(1, length)
    seen = [cut(whole, group_size), cut(whole, group_size, shifted=True)]
    return pairs(whole) / (sum(map(pairs, seen)) / len(seen))


def pairs(bounds: tuple[int, ...]) -> int:
    """Query-key pairs of causal attention inside segments."""
    return sum((end - start) * (end - start + 1) // 2 for start, end in pairwise(bounds))


def draw(
    length: int, heads: tuple[int, int, int], device: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys, values: (tokens, heads, numbers per head)."""
    torch.manual_seed(0)
    num_heads, num_kv_heads, dim = heads
    query, key, value = (
        torch.randn(length, count, dim, device=device, dtype=dtype, requires_grad=True)
        for count in (num_heads, num_kv_heads, num_kv_heads)
    )
    return query, key, value


def fastest(
    form: Form, inputs: tuple[Tensor, Tensor, Tensor], repeat: int
) -> tuple[float, str, float]:
    """Seconds, kernel and peak GiB of the fastest kernel that SDPA may choose on this GPU."""
    results: list[tuple[float, str, float]] = []
    for kernel in GPU_KERNELS:
        with sdpa_kernel(kernel):
            try:
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                taken = seconds(form, inputs, repeat)
            except RuntimeError as error:
                print(f"<!-- {kernel.name}: {str(error).splitlines()[0]} -->")
                continue
        peak = (torch.cuda.max_memory_allocated() - before) / 2**30
        results.append((taken, kernel.name.split("_")[0].lower(), peak))
    return min(results)


def seconds(form: Form, inputs: tuple[Tensor, Tensor, Tensor], repeat: int) -> float:
    """The shortest time of forward and backward: what else runs on a machine only adds to it."""
    return min(times(form, inputs, repeat + 1))


def times(form: Form, inputs: tuple[Tensor, Tensor, Tensor], repeat: int) -> Iterator[float]:
    """Seconds of each run."""
    gradient = torch.randn_like(inputs[0])
    clock = perf_counter if gradient.is_cuda else process_time
    for _ in range(repeat):
        wait(inputs[0])
        start = clock()
        torch.autograd.grad(form(*inputs), inputs, gradient)
        wait(inputs[0])
        yield clock() - start


def wait(tensor: Tensor) -> None:
    """Until the device has done what it was given."""
    if tensor.is_cuda:
        torch.cuda.synchronize()


def heads_in_words(heads: tuple[int, int, int]) -> str:
    """For the line above a table."""
    return f"{heads[0]} query and {heads[1]} key-value heads of {heads[2]}, forward and backward"


def machine() -> str:
    """Processor, threads and versions in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        model = names[0] if names else model
    return (
        f"{model}, one thread of {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
