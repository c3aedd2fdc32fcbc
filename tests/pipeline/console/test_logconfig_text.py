"""What `explain pod --sample` says is what the processor would store."""

from typing import Any

import pytest

from pipeline.console.logconfig_text import explained, sample_lines
from pipeline.logconfig.manifest import pod_in

RECORDS = {
    "kubeledger.io/multiline": "start:\\d",
    "kubeledger.io/parser": "regex:(?s)^(?P<id>\\d) (?P<text>.*)$",
    "kubeledger.io/redact": "cloud-keys",
}
KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"


def sample(annotations: dict[str, str], text: bytes) -> list[str]:
    meta = {"name": "web-0", "namespace": "shop", "annotations": annotations}
    document: dict[str, Any] = {
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "web"}]},
    }
    pod = pod_in(document)
    assert pod is not None
    return list(sample_lines(explained(pod, [])[0], pod, text))


def test_lines_of_a_sample_become_the_records_that_they_would_become() -> None:
    head, *stored = sample(RECORDS, b"1 one\n  more\n2 " + KEY + b"3 three\n")
    assert head == (
        "  sample as container web: 6 lines in 3 records, 3 stored (1 cloud-keys redacted)"
    )
    assert stored[1] == '      {"id":"1","text":"one\\n  more"}'
    assert "MIIE" not in "".join(stored)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "0 lines, 0 stored"),
        (b"\n", "1 lines, 1 stored"),
        (b"a\r\nb\rc\r\n", "2 lines, 2 stored"),
        (b"a\nb", "2 lines, 2 stored"),
        (b"x\n" * 1500, "1000 lines, 1000 stored"),
    ],
)
def test_lines_of_a_sample_end_where_the_processor_ends_them(text: bytes, said: str) -> None:
    head, *_ = sample({"kubeledger.io/retention": "short"}, text)
    assert head == f"  sample as container web: {said}"
    head, *_ = sample({}, text)
    assert head == f"  sample as container web: {said}"
