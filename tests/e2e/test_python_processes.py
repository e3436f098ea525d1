"""Threads, tasks, Ctrl-C and forked processes: nobody waits for another, and nothing hangs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hokusai
import hokusai.aio
import pytest
from conftest import PATIENCE_SECONDS
from hokusai import AuthAdmin, HokusaiClient
from wheel import Platform, tell

EMPTY = b'{"models": [], "next_cursor": null}'


def slow(seconds: float):
    """An answer that takes its time, however many ask at once."""

    def answer(request) -> None:
        threading.Event().wait(seconds)
        tell(request, 200, EMPTY)

    return answer


def test_python_goes_on_while_a_call_waits(person: Platform, somebody) -> None:
    client = HokusaiClient(api_endpoint=somebody(slow(0.5)))
    done = threading.Event()

    def call() -> None:
        client.list_models()
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    longest, last = 0.0, time.monotonic()
    while not done.is_set():
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    thread.join()
    # A call that kept Python for itself would hold this loop up for the whole half second.
    assert longest < 0.25


def test_64_threads_wait_at_once(person: Platform, somebody) -> None:
    client = HokusaiClient(api_endpoint=somebody(slow(0.5)))
    began = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(lambda _: client.list_models(), range(64))) == [[]] * 64
    # One after the other they would take 32 seconds.
    assert time.monotonic() - began < 8


def test_64_threads_get_each_its_own_answer(person: Platform) -> None:
    admin = AuthAdmin()
    with ThreadPoolExecutor(64) as pool:
        made = list(pool.map(lambda number: admin.create_key(f"of thread {number}"), range(64)))
    assert [key.key_info.name for key in made] == [f"of thread {number}" for number in range(64)]


def test_1000_tasks_at_once(person: Platform) -> None:
    key = AuthAdmin().create_key("of tasks", rate_limit_per_hour=10_000).api_key

    async def all_of_them() -> None:
        client = hokusai.aio.HokusaiClient(api_key=key)
        answers = await asyncio.gather(*[client.list_models(limit=1) for _ in range(1000)])
        assert len(answers) == 1000

    asyncio.run(all_of_them())


def test_a_task_that_is_cancelled_is_gone_at_once(person: Platform, somebody) -> None:
    url = somebody(slow(3))

    async def cancelled() -> float:
        client = hokusai.aio.HokusaiClient(api_endpoint=url)
        began = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.list_models(), 0.1)
        return time.monotonic() - began

    assert asyncio.run(cancelled()) < 1.5


def test_a_loop_that_ended_leaves_the_next_one_alone(person: Platform) -> None:
    client = hokusai.aio.HokusaiClient()
    for _ in range(3):
        assert isinstance(asyncio.run(client.list_models()), list)


def test_a_process_may_end_while_answers_are_on_their_way(person: Platform) -> None:
    key = AuthAdmin().create_key("of a process that ends", rate_limit_per_hour=100_000).api_key
    program = """if True:
        import asyncio
        from hokusai.aio import HokusaiClient

        async def main():
            client = HokusaiClient()
            tasks = [asyncio.ensure_future(client.list_models(limit=1)) for _ in range(100)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

        asyncio.run(main())
    """
    variables = {**os.environ, "HOKUSAI_API_KEY": key}
    running = [subprocess.Popen([sys.executable, "-c", program], env=variables) for _ in range(40)]
    assert [process.wait(PATIENCE_SECONDS) for process in running] == [0] * 40


def test_ctrl_c_ends_a_slow_call_at_once(person: Platform, somebody, tmp_path: Path) -> None:
    asked = threading.Event()

    def answer(request) -> None:
        asked.set()
        slow(20)(request)

    program = """if True:
        import hokusai
        try:
            hokusai.HokusaiClient(timeout=30).list_models()
        except KeyboardInterrupt:
            print("interrupted")
    """
    variables = {**os.environ, "HOKUSAI_API_ENDPOINT": somebody(answer)}
    process = subprocess.Popen([sys.executable, "-c", program], env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert asked.wait(PATIENCE_SECONDS)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert (said, process.returncode) == ("interrupted\n", 0)
    assert time.monotonic() - began < 2


def test_a_slow_service_is_not_waited_for_longer_than_said(person: Platform, somebody) -> None:
    with pytest.raises(hokusai.ServiceUnavailableError) as caught:
        AuthAdmin(auth_service_url=somebody(slow(10)), timeout=0.2).rotate_key(
            "550e8400-e29b-41d4-a716-446655440000"
        )
    assert caught.value.code == "timed_out"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_out_is_a_number_of_seconds(person: Platform, timeout: float) -> None:
    with pytest.raises(hokusai.InvalidRequestError, match="timeout"):
        HokusaiClient(timeout=timeout)


def names_of_models(client: HokusaiClient) -> int:
    return len(client.list_models(limit=5))


def test_a_forked_process_makes_connections_of_its_own(person: Platform) -> None:
    client = HokusaiClient()
    before = names_of_models(client)
    forked = os.fork()
    if forked == 0:
        # pytest must not go on in here.
        status = 1
        try:
            status = 0 if names_of_models(client) == before else 2
        finally:
            os._exit(status)
    ends = time.monotonic() + PATIENCE_SECONDS
    while (found := os.waitpid(forked, os.WNOHANG))[0] == 0:
        if time.monotonic() > ends:
            os.kill(forked, signal.SIGKILL)
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(found[1]) == 0
    assert names_of_models(client) == before


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_use_clients(person: Platform, method: str) -> None:
    client = HokusaiClient()
    before = names_of_models(client)
    with multiprocessing.get_context(method).Pool(4) as pool:
        asked = pool.apply_async(ask_anew), pool.apply_async(ask_anew)
        assert [one.get(PATIENCE_SECONDS) for one in asked] == [before, before]
    assert names_of_models(client) == before


def ask_anew() -> int:
    return names_of_models(HokusaiClient())


def test_a_client_is_not_copied_into_another_process_by_pickle(person: Platform) -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(HokusaiClient())
