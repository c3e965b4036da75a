"""LMDB and LevelDB: read by number in any order, shared within a process, and every fault told by name."""

import errno
import gc
import resource
import subprocess
import sys
import threading

import lmdb as library
import pytest

from netdef.errors import NetdefError, SourceError
from netdef.sources import leveldb, lmdb
from netdef.sources.records import STRIDE

ITEMS = [(b"%06d" % i, b"value %d" % i * 3) for i in range(2500)]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("lmdb") / "db"
    assert lmdb.write_records(path, ITEMS) == len(ITEMS)
    return path


def seen(records, rows):
    return [(bytes(key), bytes(value)) for key, value in records.read(rows)]


def test_in_order_and_out_of_order(database):
    records, n = lmdb.open_records(database), len(ITEMS)
    assert len(records) == n
    assert seen(records, range(n)) == ITEMS
    rows = [5, 4, 4, n - 1, 0, STRIDE, STRIDE - 1, 2 * STRIDE + 7, 1, 2, 3, n - 1]
    assert seen(records, rows) == [ITEMS[r] for r in rows]
    assert seen(lmdb.open_records(database), [2 * STRIDE + 1]) == [ITEMS[2 * STRIDE + 1]]


def test_several_readers_at_once(database):
    readers = [lmdb.open_records(database) for _ in range(3)]
    found = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: seen(readers[k], range(500))})) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(3), ITEMS[:500])


def test_a_database_in_use_is_closed_with_its_last_reader(database):
    first, second = lmdb.open_records(database), lmdb.open_records(database)
    first.read([0])
    del first
    gc.collect()
    assert seen(second, [7]) == [ITEMS[7]]
    del second
    gc.collect()
    library.open(str(database), readonly=True, lock=False).close()  # LMDB refuses a file that is still open


def held_by_a_thread_that_lets_go(records):
    """What is left, for a moment, of a database whose reader another thread takes apart."""
    return records._items.args


def test_a_database_opens_while_another_thread_lets_it_go(database):
    records = lmdb.open_records(database)
    left = held_by_a_thread_that_lets_go(records)
    del records
    assert seen(lmdb.open_records(database), [7]) == [ITEMS[7]]
    del left
    assert seen(lmdb.open_records(database), [8]) == [ITEMS[8]]


def test_read_only_and_no_lock_file(database):
    before = sorted(p.name for p in database.iterdir())
    lmdb.open_records(database).read([0])
    assert sorted(p.name for p in database.iterdir()) == before == ["data.mdb"]


def fault(path, open=lmdb.open_records):
    with pytest.raises(SourceError) as error:
        open(path).read([0])
    return str(error.value)


def test_a_truncated_database_is_told_and_does_not_kill(database, tmp_path):
    cut = tmp_path / "cut"
    cut.mkdir()
    whole = (database / "data.mdb").read_bytes()
    (cut / "data.mdb").write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    assert "is truncated" in fault(cut)
    (cut / "data.mdb").write_bytes(whole[:4000])
    assert "cannot be read as LMDB" in fault(cut)
    (cut / "data.mdb").write_bytes(b"x" * len(whole))
    assert fault(cut) == f"{cut} cannot be read as LMDB: File is not an LMDB file"


def test_damage_within(database, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    data = bytearray((database / "data.mdb").read_bytes())
    data[2 * 4096 :] = b"\xff" * (len(data) - 2 * 4096)
    (bad / "data.mdb").write_bytes(data)
    with pytest.raises(SourceError):
        lmdb.open_records(bad).read(range(100))


def test_what_is_no_database(tmp_path):
    assert "holds no data.mdb" in fault(tmp_path)
    assert fault(tmp_path / "gone") == f"{tmp_path}/gone: No such file or directory"
    (tmp_path / "CURRENT").touch()
    assert "say backend: LEVELDB" in fault(tmp_path)
    lmdb.write_records(tmp_path / "empty", [])
    assert "holds no records" in fault(tmp_path / "empty")


def test_a_single_file(database):
    assert seen(lmdb.open_records(database / "data.mdb"), [3]) == [ITEMS[3]]


def test_writing_grows_the_map(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb, "ROOM", 1 << 16)
    monkeypatch.setattr(lmdb, "COMMIT", 1 << 14)
    items = [(b"%04d" % i, bytes(3000)) for i in range(200)]
    lmdb.write_records(tmp_path / "db", items)
    assert seen(lmdb.open_records(tmp_path / "db"), range(200)) == items


def test_what_is_there_is_not_overwritten(database):
    with pytest.raises(NetdefError, match="exists already"):
        lmdb.write_records(database, ITEMS[:3])


@pytest.mark.parametrize("cause", [OSError(errno.ENOSPC, "No space left on device"), SourceError("bad image")])
def test_nothing_is_left_of_a_conversion_that_fails(tmp_path, cause):
    def items():
        yield from ITEMS[:10]
        raise cause

    with pytest.raises(NetdefError, match=r"No space left on device|bad image"):
        lmdb.write_records(tmp_path / "db", items())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills(tmp_path):
    """In another process, whose files may not grow beyond 1 MB: LMDB's own writes then fail."""
    code = (
        "import sys; from netdef.sources import lmdb; from netdef.errors import NetdefError\n"
        "try: lmdb.write_records(sys.argv[1], ((b'%06d' % i, bytes(50000)) for i in range(100)))\n"
        "except NetdefError as e: print(e)"
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "db")], capture_output=True, text=True, preexec_fn=limit
    )
    assert "cannot write" in done.stdout and "nothing is left there" in done.stdout, done
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def level(tmp_path_factory):
    plyvel = pytest.importorskip("plyvel")
    path = tmp_path_factory.mktemp("leveldb") / "db"
    with plyvel.DB(str(path), create_if_missing=True) as db:
        for key, value in ITEMS:
            db.put(key, value)
    return path


def test_leveldb_reads_the_same(level):
    records, other = leveldb.open_records(level), leveldb.open_records(level)
    assert seen(records, range(len(ITEMS))) == ITEMS
    assert seen(other, [2000, 3]) == [ITEMS[2000], ITEMS[3]]


def test_leveldb_faults(tmp_path, database, monkeypatch):
    assert "holds no file CURRENT; it is an LMDB" in fault(database, leveldb.open_records)
    (tmp_path / "CURRENT").touch()
    monkeypatch.setitem(sys.modules, "plyvel", None)
    assert 'pip install "netdef-nn[leveldb]"' in fault(tmp_path, leveldb.open_records)
