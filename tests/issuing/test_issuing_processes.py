from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from issuing_samples import a_job, a_template, words_of
from PIL import Image

from bridge.core.errors import BridgeError, PermanentError, TemporaryError
from bridge.issuing.renderer import Renderer

HUNGRY = a_template('<table><tr><td colspan="100000000">x</td></tr></table>')
ENDLESS = a_template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")


@pytest.fixture
def small() -> Iterator[Renderer]:
    with Renderer(workers=1, timeout=8, output_bytes=200_000) as renderer:
        yield renderer


def children() -> set[int]:
    return {
        process.pid
        for process in psutil.Process().children()
        if process.status() != psutil.STATUS_ZOMBIE and "bridge.issuing.child" in process.cmdline()
    }


def test_a_template_that_eats_memory_ends_its_process_and_nothing_else(small: Renderer) -> None:
    with pytest.raises(TemporaryError) as caught:
        small.render(a_job(template=HUNGRY))
    # Without memory the engine sometimes fails at once and sometimes only crawls.
    assert caught.value.stable_code in ("render_crashed", "render_timeout")
    assert "Maria" in words_of(small.render(a_job()))


def test_a_memory_bomb_in_an_expression_ends_its_process(small: Renderer) -> None:
    with pytest.raises(TemporaryError, match="more memory than allowed"):
        small.render(a_job(template=a_template('{{ "a" * 10 ** 10 }}')))


def test_a_process_that_gave_up_gets_no_further_job(small: Renderer) -> None:
    for _ in range(3):
        with pytest.raises(TemporaryError, match="more memory than allowed"):
            small.render(a_job(template=a_template('{{ "a" * 10 ** 10 }}')))
        assert "Maria" in words_of(small.render(a_job()))


def test_a_template_without_end_is_stopped() -> None:
    with Renderer(workers=1, timeout=3) as hasty:
        with pytest.raises(TemporaryError, match="longer than 3 seconds") as caught:
            hasty.render(a_job(template=ENDLESS))
        assert caught.value.stable_code == "render_timeout"
        assert "Maria" in words_of(hasty.render(a_job()))


def test_a_killed_process_is_replaced(small: Renderer) -> None:
    small.render(a_job())
    for pid in children():
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)], timeout=10)
    assert "Maria" in words_of(small.render(a_job()))


def test_a_pdf_above_the_limit_is_refused(small: Renderer) -> None:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(480_000)).save(buffer, "PNG")
    own = a_template('<img src="{{ image("noise.png") }}">', **{"noise.png": buffer.getvalue()})
    with pytest.raises(PermanentError, match="at most 195 kB are allowed"):
        small.render(a_job(template=own))


def test_a_process_gets_no_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    with Renderer(workers=1) as renderer:
        renderer.render(a_job())
        found = [psutil.Process(pid).environ() for pid in children()]
    assert found
    assert all("hunter2" not in str(environment) for environment in found)
    assert all(set(environment) <= {"PYTHONPATH", "PYTHONHASHSEED", "LC_ALL", "TZ"} for environment in found)


def test_no_address_of_a_learner_reaches_the_process() -> None:
    from bridge.issuing.job import to_wire

    assert "maria@example.com" in a_job().certificate.model_dump_json()
    assert "maria@example.com" not in str(to_wire(a_job()))


def test_many_threads_share_the_processes(renderer: Renderer) -> None:
    names = [f"Learner {number}" for number in range(12)]
    with Renderer(workers=2) as pool, ThreadPoolExecutor(6) as threads:
        texts = list(threads.map(lambda name: words_of(pool.render(a_job(name=name))), names))
    assert all(name in text for name, text in zip(names, texts, strict=True))


def test_closing_ends_every_process_and_wakes_who_waits() -> None:
    before = children()
    renderer = Renderer(workers=2)
    renderer.render(a_job())
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(renderer.render, a_job()) for _ in range(8)]
        renderer.close()
        outcomes = [future.exception() for future in waiting]
    assert all(error is None or isinstance(error, BridgeError) for error in outcomes)
    assert children() == before
    with pytest.raises(TemporaryError, match="stopping"):
        renderer.render(a_job())


def test_remembers_many_templates_and_asks_again_for_forgotten_ones(renderer: Renderer) -> None:
    for number in [*range(20), 0, 1]:
        own = a_template(f"<p>{number} {{{{ name }}}}</p>")
        assert words_of(renderer.render(a_job(template=own))) == f"{number} Maria da Silva"
