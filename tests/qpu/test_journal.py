# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The journal's file: damage, newer versions, locks, full disks, clocks, and who may read it."""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import flashket as fk
from fake_device import HERE, QUICK, batch_of, expected, running
from flashket.qpu import budget, jobs, journal
from flashket.qpu.file_lock import held
from flashket.qpu.journal import Journal


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(started):
    started.reset()
    return started


def submit(provider, path, **options):
    with budget(usd=100, qpu_seconds=100):
        return jobs.submit(batch_of(3), provider.device(), journal=path, retry=QUICK, **options)


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("FLASHKET_JOURNAL", str(tmp_path / "mine.db"))
    assert journal.default_path() == tmp_path / "mine.db"
    monkeypatch.delenv("FLASHKET_JOURNAL")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for platform, folder in (("linux", "data"), ("win32", "data"), ("darwin", "Library/Application Support")):
        monkeypatch.setattr(journal.sys, "platform", platform)
        assert journal.default_path() == tmp_path / folder / "flashket" / "journal.db"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_only_the_user_can_read_it(tmp_path):
    path = tmp_path / "new" / "flashket" / "journal.db"
    before = os.umask(0)
    try:
        opened = Journal(path)
        opened.records()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    opened.close()


def test_it_is_durable(tmp_path):
    opened = Journal(tmp_path / "journal.db")
    answers = [opened._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert answers == ["wal", 2, 1]
    opened.close()


def test_a_damaged_file_is_refused_and_kept(tmp_path, provider):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, but somebody's notes " * 100)
    before = path.read_bytes()
    with pytest.raises(fk.JobError, match=r"must be an undamaged journal, got .*: keep the file"):
        submit(provider, path)
    assert path.read_bytes() == before and provider.ledger == []


def test_a_page_that_was_overwritten_is_refused(tmp_path, provider):
    path = tmp_path / "journal.db"
    job = submit(provider, path)
    job.journal.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    before = len(provider.ledger)
    with pytest.raises(fk.JobError, match="must be an undamaged journal"):
        submit(provider, path)
    assert len(provider.ledger) == before


def test_another_database_is_not_touched(tmp_path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(fk.JobError, match="must be a FlashKet journal"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    opened = Journal(path)
    opened._connection.execute(f"PRAGMA user_version = {journal.SCHEMA_VERSION + 1}")
    opened.close()
    with pytest.raises(fk.JobError, match=r"version 1 or older, got 2: update FlashKet"):
        Journal(path)


def test_a_locked_journal_is_waited_for_and_then_refused(tmp_path, provider):
    path = tmp_path / "journal.db"
    Journal(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(fk.JobError, match="must be free, got database is locked: another process holds it"):
        submit(provider, Journal(path, busy_seconds=0.05))
    assert provider.ledger == []
    other.execute("ROLLBACK")
    other.close()
    assert submit(provider, path).result().counts == expected(batch_of(3))


def test_locked_after_sending(tmp_path, provider, monkeypatch):
    path = tmp_path / "journal.db"
    device, other = provider.device(), sqlite3.connect(path, isolation_level=None)
    send = device.submit

    def locked_meanwhile(batch, token):
        identity = send(batch, token)
        other.execute("BEGIN IMMEDIATE")
        return identity

    monkeypatch.setattr(device, "submit", locked_meanwhile)
    opened = Journal(path, busy_seconds=0.05)
    with (
        budget(usd=100, qpu_seconds=100),
        pytest.raises(fk.JobError, match=r"fake-1 was sent and must be recorded.*find it by its tag"),
    ):
        jobs.submit(batch_of(3), device, journal=opened, retry=QUICK)
    other.execute("ROLLBACK")
    other.close()
    assert submit(provider, path).result().counts == expected(batch_of(3)) and len(provider.ledger) == 2


def test_a_job_that_another_sender_holds(tmp_path, provider):
    path = tmp_path / "journal.db"
    job = submit(provider, path)
    opened = Journal(path, busy_seconds=0.05)
    with held(Path(f"{path}.job{job.id}.lock"), 1), pytest.raises(fk.JobError, match="job 1 must be free to be sent, got another process"):
        submit(provider, opened)
    submit(provider, opened)
    assert not list(tmp_path.glob("*.lock")) and len(provider.ledger) == 2


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(fk.JobError, match=r"must be a file that can be read and written.*set FLASHKET_JOURNAL"):
        Journal(tmp_path / "file" / "journal.db")


FULL = """
import resource, sys
from fake_device import FakeDevice, QUICK, batch_of
from flashket.errors import JobError
from flashket.qpu import budget, jobs
from flashket.qpu.journal import Journal
path, port, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
device, journal = FakeDevice(port), Journal(path)

def fill():  # no file of this process may grow any more: what a full disk does
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

if when == "before":
    fill()
elif when == "sent":
    send = device.submit
    device.submit = lambda batch, token: (send(batch, token), fill())[0]
else:
    read = device.result
    device.result = lambda identity: (read(identity), fill())[0]
try:
    with budget(usd=100, qpu_seconds=100):
        jobs.submit(batch_of(3), device, journal=journal, retry=QUICK).result()
except JobError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize(("when", "n_sent"), [("before", 0), ("sent", 1), ("result", 2)])
def test_a_full_disk_loses_nothing(tmp_path, provider, when, n_sent):
    path = tmp_path / "journal.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-c", FULL, str(path), str(provider.port), when]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "must be writable to its end" in done.stdout and "free disk space" in done.stdout, done.stdout + done.stderr
    assert len(provider.ledger) == n_sent
    assert submit(provider, path).result().counts == expected(batch_of(3))
    assert len(provider.ledger) == 2


def test_clocks_that_go_back(tmp_path, provider, monkeypatch):
    backwards = itertools.count(2e9, -3600)
    monkeypatch.setattr("time.time", lambda: next(backwards))
    job = submit(provider, tmp_path / "journal.db")
    found = job.result()
    assert found.wall_seconds == 0 and found.counts == expected(batch_of(3))
    history = job.journal.history(job.id)
    times = [time for _, _, time in history]
    assert times == sorted(times, reverse=True)  # yet in order
    assert [state for part, state, _ in history if part == 1] == ["planned", "reserved", "submitting", "submitted", "done"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_opens_the_journal_for_itself(tmp_path):
    script = """
import os, sys
from flashket.qpu.journal import Journal
journal = Journal(sys.argv[1])
child = os.fork()
if child == 0:
    with journal.transaction() as connection:
        connection.execute("INSERT INTO circuits VALUES ('a', 'b')")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with journal.transaction() as connection:
    assert connection.execute("SELECT count(*) FROM circuits").fetchone()[0] == 1
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "journal.db")], env=environment, check=True)


def test_many_processes_make_the_file_together(tmp_path):
    script = "import sys; from flashket.qpu.journal import Journal; assert Journal(sys.argv[1]).records() == []"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(tmp_path / "journal.db")]
    started = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
