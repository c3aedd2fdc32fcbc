"""What the demo says at its end."""

import io
from dataclasses import dataclass
from typing import Any

from pipeline.console.query import run_query
from pipeline.console.sizes import human_bytes
from pipeline.store.clickhouse import ClickHouseStore

EXAMPLES = (
    (
        "rows per workload and level",
        "SELECT namespace, workload, countIf(level = 'error') AS errors, "
        "countIf(level = 'warn') AS warnings, count() AS row_count, sum(nbytes) AS raw_bytes "
        "FROM logs GROUP BY namespace, workload ORDER BY row_count DESC LIMIT 6",
    ),
    (
        "slow queries of a JSON log, by a field inside the line",
        "SELECT toString(ts) AS time, pod, attrs['msg'] AS msg, attrs['table'] AS `table`, "
        "attrs['took_ms'] AS took_ms FROM logs "
        "WHERE attrs['msg'] = 'slow query' ORDER BY toUInt64OrZero(attrs['took_ms']) DESC LIMIT 4",
    ),
    (
        "the ledger of one rotated container",
        "SELECT path, event, size, reason FROM files "
        "WHERE pod = 'fast' ORDER BY file_id, event LIMIT 6",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of one run. Bytes are counts, times are seconds."""

    rows: int
    raw_bytes: int
    stored_bytes: int
    freshness_p50_s: float
    freshness_p99_s: float
    audit: dict[str, int]
    kills: int
    seconds: float
    oracle_containers: int
    oracle_wrong: int
    examples: list[tuple[str, str, str]]  # title, SQL, answer
    kept: str | None

    @property
    def good(self) -> bool:
        """Nothing unexplained, nothing twice, and the generator's own count agrees."""
        clean = not self.audit["unexplained"] and not self.audit["duplicates"]
        return clean and not self.oracle_wrong and self.kills == 3

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.good,
            "rows": self.rows,
            "raw_bytes": self.raw_bytes,
            "stored_bytes": self.stored_bytes,
            "compression": round(self.raw_bytes / max(self.stored_bytes, 1), 1),
            "mb_per_s": round(self.raw_bytes / self.seconds / 1e6, 2),
            "freshness_p50_s": self.freshness_p50_s,
            "freshness_p99_s": self.freshness_p99_s,
            "audit": self.audit,
            "kills": self.kills,
            "oracle": {"containers": self.oracle_containers, "wrong": self.oracle_wrong},
        }

    def text(self) -> str:
        """For people."""
        document = self.document()
        lines = []
        for title, sql, answer in self.examples:
            lines += [f"-- {title}", sql, "", answer.rstrip(), ""]
        verdict = self.audit
        lines += [
            f"rows         {self.rows:,} from {human_bytes(self.raw_bytes)} of log "
            f"({document['mb_per_s']} MB/s)",
            f"stored       {human_bytes(self.stored_bytes)}, "
            f"{document['compression']} times smaller",
            f"freshness    written to queryable p50 {self.freshness_p50_s} s, "
            f"p99 {self.freshness_p99_s} s, the accidents included",
            f"kill -9      {self.kills} (collector, processor, store)",
            f"oracle       {self.oracle_containers} containers, "
            f"{self.oracle_wrong} differ from what the generator wrote",
            f"audit        {verdict['files']} files: {verdict['complete']} complete, "
            f"{verdict['open']} open, {verdict['gaps']} with explained gaps, "
            f"{verdict['unexplained']} unexplained, {verdict['duplicates']} duplicates",
            "",
        ]
        if self.kept:
            lines += [
                "look further:",
                f"  kubeledger logs  --data {self.kept} -n shop --level error --context 2",
                f'  kubeledger query --data {self.kept} "SELECT count() FROM logs"',
                f"  kubeledger audit --data {self.kept}",
            ]
        else:
            lines.append("look further: kubeledger demo --data ./demo keeps everything; then "
                         "kubeledger logs --data ./demo --level error")  # fmt: skip
        return "\n".join(lines)


def examples(store: ClickHouseStore) -> list[tuple[str, str, str]]:
    """Run the three example queries."""
    answers = []
    for title, sql in EXAMPLES:
        out = io.StringIO()
        run_query(store, sql, format="table", out=out)
        answers.append((title, sql, out.getvalue()))
    return answers
