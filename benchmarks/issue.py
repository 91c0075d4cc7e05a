"""Certificates a second from stored webhook to sent mail and write-back, against a bare loop of xhtml2pdf."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import load
from bridge.daemon import running
from bridge.demo.run import _free_port
from bridge.demo.stage import LEARNER, THINKIFIC, stage, thinkific_webhook
from bridge.demo.vendors.thinkific_school import Person
from bridge.observe import configure_logging
from bridge.store import inbox, outbox

CERTIFICATES = 200

BARE = """
import time
from dataclasses import replace
from bridge.issuing.html import render_html
from bridge.issuing.pdf import to_pdf
from bridge.issuing.template import load_template
from bridge.issuing.words import sample_job
job = sample_job(load_template("classic", None), fields={})
def one(number):
    data = job.certificate.data
    recipient = data.recipient.model_copy(update={"name": f"Person Number{number:04d}"})
    url = job.certificate.url[:-4] + f"{number:04d}"
    named = job.certificate.model_copy(update={"data": data.model_copy(update={"recipient": recipient}), "url": url})
    to_pdf(render_html(replace(job, certificate=named)))
one(0)
started = time.perf_counter()
for number in range(1, COUNT + 1):
    one(number)
print(COUNT / (time.perf_counter() - started))
"""


def run(rounds: int = 3) -> None:
    """Prints the median of several interleaved rounds."""
    configure_logging(level="error")
    print(f"Issuing: {CERTIFICATES} completions from webhook to mail (folder) and write-back, against xhtml2pdf alone")
    pairs = [(_ours(), _bare()) for _ in range(rounds)]
    for ours, bare in pairs:
        print(
            f"  certbridge, whole loop {ours:6.1f}/s    bare loop of xhtml2pdf {bare:6.1f}/s    ratio {ours / bare:.2f}"
        )
    ratios = sorted(ours / bare for ours, bare in pairs)
    print(f"  ratio {ratios[len(ratios) // 2]:.2f}\n")


def _bare() -> float:
    code = BARE.replace("COUNT", str(CERTIFICATES))
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), port=_free_port()) as stands:
        event = json.loads(thinkific_webhook(stands.thinkific))
        # Two requests a second are what Thinkific allows; what is measured here is what certbridge can.
        stands.config.connectors[THINKIFIC].rate = None
        with running(stands.config) as run:
            connector = run.bridge.sources[THINKIFIC].connector
            signed = []
            for index in range(CERTIFICATES):
                one = copy.deepcopy(event)
                number = 200_000 + index
                stands.thinkific.school.users[number] = Person(number, "Person", f"Number{index:04d}", LEARNER.email)
                one["id"], one["payload"]["id"] = f"20261120114530{index:09d}", number
                one["payload"]["user"] |= {"id": number, "first_name": "Person", "last_name": f"Number{index:04d}"}
                request = connector.sign(
                    json.dumps(one).encode(), {"Content-Type": "application/json"}, datetime.now(UTC)
                )
                signed.append((request.body, dict(request.headers)))
            time.sleep(3)  # the rendering processes have started, as in a daemon that runs for months
            # By now the first poll has brought what was there. Each certificate is one event, mail and write-back.
            goal = run.bridge.store.read(_finished) + 3 * CERTIFICATES
            started = time.perf_counter()
            load.post(run.server.port, f"/hooks/{THINKIFIC}", signed, threads=8)
            while run.bridge.store.read(_finished) < goal:
                time.sleep(0.05)
            return CERTIFICATES / (time.perf_counter() - started)


def _finished(tx: object) -> int:
    rows = {**inbox.counts(tx), **{("out", *key): number for key, number in outbox.counts(tx).items()}}  # type: ignore[arg-type]
    return sum(number for key, number in rows.items() if key[-1] == "done")
