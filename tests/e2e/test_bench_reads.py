"""The measure of reads knows every list and get of the surfaces, and can ask each."""

import re
import subprocess
import sys

from scripts.server_process import ROOT, bare_environment

LEAST = ["--envelopes", "400", "--seconds", "0.01", "--clients", "1", "2", "--page", "3"]


def test_every_list_and_get_is_measured_and_a_far_page_of_each_list() -> None:
    command = [sys.executable, "scripts/bench_reads.py", *LEAST]
    run = subprocess.run(command, cwd=ROOT, env=bare_environment(), capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert "NOT MEASURED" not in run.stdout
    for surface, path in (
        ("partner", "/v1/documents"),
        ("signing", "/v1/signing/signer/signings"),
        ("sessions", "/v1/documents"),
    ):
        assert re.search(rf"^{surface} {path}\b.* +[\d,]+ +\d+\.\d +\d+\.\d", run.stdout, re.MULTILINE)
    assert len(re.findall(r"page +[23] of +\d+ rows +\d+\.\d, page 1 +\d+\.\d: \d+\.\d\dx$", run.stdout, re.MULTILINE)) >= 8
    assert (
        len(re.findall(r"beside the peer (get|list), ratio .*: \d+\.\d\dx with 1, \d+\.\d\dx with 2$", run.stdout, re.MULTILINE))
        == 2
    )
