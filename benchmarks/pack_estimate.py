"""What packing RedPajama 1T takes, from rates that were measured: core-hours, disk, wall time.

    rates = Rates(text_mb_per_core_s=30, rows_mtokens_per_core_s=60, …)
    estimate(rates).core_hours                 -> 51.2
    estimate(rates).wall_hours(cores=1024)     -> 0.4
    print(table(estimate(rates)))

Nothing here is measured: it is arithmetic. Encoding and writing are divided among all cores; the
plan of all rows is made by one. Sizes are those that the dataset's card and its users give: 1.21
trillion tokens, 5 TB of text unpacked, 2.67 TB to download, 2,084 files; the number of documents
follows from the mean length in its published sample. The network is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKENS = 1.21e12
TEXT_BYTES = 5e12
DOWNLOAD_BYTES = 2.67e12
TOKENS_PER_DOCUMENT = 1_300  # of the 1T-Sample: a billion tokens in some 930,000 documents
CORES = (1, 64, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What was measured, on one core. Bytes are those on disk or, for the plan, in memory."""

    text_mb_per_core_s: float  # read, encoded, stored
    rows_mtokens_per_core_s: float  # gathered and written, for one ctx
    plan_mdocuments_per_s: float  # selected and placed, for one ctx, by one process
    store_bytes_per_token: float
    rows_bytes_per_token: float
    plan_bytes_per_document: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """For `contexts` lengths of rows from one tokenization."""

    contexts: int
    encode_hours: float  # of cores
    rows_hours: float  # of cores
    plan_hours: float  # of one core, whatever there are
    disk_bytes: float  # tokens and rows together; the text is read where it lies
    plan_bytes: float

    @property
    def core_hours(self) -> float:
        """All cores together."""
        return self.encode_hours + self.rows_hours + self.plan_hours

    def wall_hours(self, cores: int) -> float:
        """With all cores at work, and one while the rows are planned."""
        return (self.encode_hours + self.rows_hours) / cores + self.plan_hours


def estimate(rates: Rates, *, contexts: int = 1) -> Estimate:
    """RedPajama 1T at these rates."""
    documents = TOKENS / TOKENS_PER_DOCUMENT
    return Estimate(
        contexts=contexts,
        encode_hours=TEXT_BYTES / 1e6 / rates.text_mb_per_core_s / 3600,
        rows_hours=contexts * TOKENS / 1e6 / rates.rows_mtokens_per_core_s / 3600,
        plan_hours=contexts * documents / 1e6 / rates.plan_mdocuments_per_s / 3600,
        disk_bytes=TOKENS * (rates.store_bytes_per_token + contexts * rates.rows_bytes_per_token),
        plan_bytes=documents * rates.plan_bytes_per_document,
    )


def table(found: Estimate) -> str:
    """In Markdown: what it takes, and how long on 1, 64 and 1,024 cores."""
    walls = " | ".join(_time(found.wall_hours(cores)) for cores in CORES)
    heads = " | ".join(f"{cores:,} core{'s' * (cores > 1)}" for cores in CORES)
    return (
        f"| core-hours | of them encoding, rows, plan | disk | memory of the plan | {heads} |\n"
        f"|{'---|' * (4 + len(CORES))}\n"
        f"| {found.core_hours:,.0f} | {found.encode_hours:,.1f}, {found.rows_hours:,.1f}, "
        f"{found.plan_hours:,.2f} | {found.disk_bytes / 1e12:.1f} TB | "
        f"{found.plan_bytes / 1e9:,.0f} GB | {walls} |"
    )


def _time(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
