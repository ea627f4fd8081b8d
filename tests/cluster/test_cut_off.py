"""Machines that are cut off, on a network of their own: each song has one result, whatever comes back and when."""

import re
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.catalogues import catalogue
from tests.helpers.network import Network, can_make_networks
from unweave import Separator

pytest.importorskip("ray")
pytest.importorskip("moto")
pytest.importorskip("s3fs")

import fsspec
from ray._raylet import GcsClient
from ray.core.generated.gcs_pb2 import GcsNodeInfo

from tests.helpers.nodes import FarNode, head_node
from tests.helpers.s3 import Slow, serving_s3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.xdist_group("ray"),
]

N_SONGS = 60


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A head without processors, two hosts with a node of one processor each, and a bucket that keeps all versions."""
    if not can_make_networks():
        pytest.skip("needs the right to make networks: root, or unshare --map-root-user --net")
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_health_check_timeout_ms", "1000")  # five in a row, and a node is dead
    with Network() as network, serving_s3("songs", "stems", host=network.address) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        store = fsspec.filesystem("s3", use_listings_cache=False)
        store.call_s3("put_bucket_versioning", Bucket="stems", VersioningConfiguration={"Status": "Enabled"})
        hosts = [network.add_host(), network.add_host()]
        with head_node(0, node_ip_address=network.address) as head, FarNode(hosts[0], head.address) as first:
            assert first.wait_for_start()
            with FarNode(hosts[1], head.address) as second:
                assert second.wait_for_start()
                yield server, store, hosts, (first, second), head.address
        fsspec.filesystem("s3").clear_instance_cache()


def versions(store):
    """Every version of every stem, and what marks a deletion, by name."""
    found = store.call_s3("list_object_versions", Bucket="stems")
    assert not found["IsTruncated"]
    counts = {}
    for each in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]:
        if "!unweave-journal-" not in each["Key"]:
            counts[each["Key"]] = counts.get(each["Key"], 0) + 1
    return counts


def is_alive(address, host):
    """Whether Ray takes the node on ``host`` for alive."""
    nodes = GcsClient(address=address).get_all_node_info().values()
    return any(node.node_manager_address == host.address and node.state == GcsNodeInfo.ALIVE for node in nodes)


def test_a_node_is_cut_off_and_comes_back_and_the_driver_dies_meanwhile(place, toy_json, tmp_path):
    server, store, hosts, nodes, address = place
    source = catalogue(tmp_path / "in", N_SONGS)
    for path in sorted(source.rglob("*.wav")):
        store.put_file(str(path), f"songs/{path.relative_to(source).as_posix()}")

    def slow_down(seconds):
        """Workers spend most of their time with a stem on its way, so that this is where they are cut off."""
        server.fault = lambda number, method, path: Slow(seconds) if method == "PUT" else None

    slow_down(0.2)
    command = [sys.executable, "-m", "unweave", "batch", "s3://songs", "s3://stems", "-p", str(toy_json)]
    command += ["--address", address, "--workers", "2"]

    def wait_for_stems(count):
        server.requests.clear()
        while sum(method == "PUT" for method, _ in server.requests) < count:
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.01)

    def wait_for(host):
        server.clients.clear()
        while host.address not in server.clients:
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.01)

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        wait_for(hosts[0])
        wait_for(hosts[1])
        wait_for_stems(6)
        hosts[0].cut_off()
        wait_for_stems(10)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    n_done = len(versions(store))
    assert 0 < n_done < 2 * N_SONGS

    slow_down(2)  # so that songs are left when it is back, however long that takes
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        wait_for(hosts[1])
        while is_alive(address, hosts[0]):
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.1)
        hosts[0].bring_back()
        assert nodes[0].wait_for_start()  # Ray has told it that it is dead, and it has started again
        wait_for(hosts[0])
        hosts[1].cut_off()  # for a moment, which nobody needs to notice
        time.sleep(1.5)
        hosts[1].bring_back()
        slow_down(0)
        said, _ = driver.communicate()
    assert driver.returncode == 0
    n_again, n_skipped, n_failed = map(int, re.search(r"(\d+) done, (\d+) skipped, (\d+) failed", said).groups())
    assert (n_again + n_skipped, n_failed) == (N_SONGS, 0)
    assert 2 * n_skipped <= n_done  # only what was there; nothing, unless the first driver lived for a minute
    assert not nodes[1].wait_for_start(0)

    expected = {}
    separator = Separator(str(toy_json), threads=1)
    for path in source.rglob("*.wav"):
        for stem, stem_path in separator.separate_file(path, tmp_path / "out" / path.parent.name).items():
            expected[f"{path.relative_to(source).with_suffix('').as_posix()}/{stem}.wav"] = stem_path.read_bytes()
    assert len(expected) == 2 * N_SONGS
    assert {name: store.cat_file(f"stems/{name}") for name in expected} == expected
    # Nothing was written a second time, and nothing was ever taken away.
    assert versions(store) == dict.fromkeys(expected, 1)
