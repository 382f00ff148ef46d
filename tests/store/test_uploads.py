"""Several objects on their way at once: all are there in the end, or the first failure is told."""

import threading
import time

import pytest

from medgen.engine.errors import StoreError
from medgen.engine.store.connect import connect
from medgen.engine.store.uploads import Uploads


class Slow:
    """Counts what is under way; refuses one path."""

    def __init__(self, objects, refused=""):
        self.objects, self.refused = objects, refused
        self.lock = threading.Lock()
        self.now, self.most, self.most_bytes, self.held = 0, 0, 0, 0
        self.begun = []

    def create(self, path, content):
        with self.lock:
            self.begun.append(path)
            self.now, self.held = self.now + 1, self.held + len(content)
            self.most, self.most_bytes = max(self.most, self.now), max(self.most_bytes, self.held)
        time.sleep(0.02)
        with self.lock:
            self.now, self.held = self.now - 1, self.held - len(content)
        if path == self.refused:
            raise StoreError(f"cannot write {path}")
        return self.objects.create(path, content)

    def replace(self, path, content):
        self.objects.replace(path, content)


def test_all_are_there_when_it_ends_and_many_were_under_way_at_once(memory_url):
    objects = connect(memory_url)
    objects.create("a/3", b"what stood there")
    slow = Slow(objects)
    with Uploads(slow) as uploads:
        for n in range(40):
            uploads.put(f"a/{n}", b"%d" % n)
    assert [objects.read(f"a/{n}") for n in range(40)] == [b"%d" % n for n in range(40)]
    assert 1 < slow.most <= 8


def test_what_is_under_way_is_bounded_by_size(memory_url, monkeypatch):
    monkeypatch.setattr("medgen.engine.store.uploads._MOST_BYTES", 100)
    slow = Slow(connect(memory_url))
    with Uploads(slow) as uploads:
        for n, size in enumerate([40, 40, 40, 1000, 10, 90, 100, 1]):
            uploads.put(f"a/{n}", b"x" * size)
    assert slow.most_bytes == 1000  # the one that is larger than all may be goes alone
    assert slow.most <= 3
    assert len(slow.objects.names("a")) == 8


def upload(slow, count, then=lambda: None):
    with Uploads(slow) as uploads:
        for n in range(count):
            uploads.put(f"a/{n}", b"x")
        then()


def test_the_first_failure_is_told_and_no_more_is_begun(memory_url):
    slow = Slow(connect(memory_url), refused="a/5")
    with pytest.raises(StoreError, match="cannot write a/5"):
        upload(slow, 1000)
    assert len(slow.begun) < 40


def test_a_failure_of_the_last_is_told_too(memory_url):
    slow = Slow(connect(memory_url), refused="a/2")
    with pytest.raises(StoreError, match="cannot write a/2"):
        upload(slow, 3)


def test_who_fails_himself_leaves_nothing_running(memory_url):
    slow = Slow(connect(memory_url))
    with pytest.raises(KeyError):
        upload(slow, 8, then=lambda: {}["nothing"])
    begun = len(slow.begun)
    time.sleep(0.1)
    assert len(slow.begun) == begun
    assert slow.now == 0
