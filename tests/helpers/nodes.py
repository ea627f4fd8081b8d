"""Several nodes of a Ray on one machine, which can be killed and added; or on hosts of their own.

``python -m tests.helpers.nodes ADDRESS IP PROCESSORS`` is a node until its standard input is closed. Where Ray ends it,
it starts again, as Kubernetes starts a container again.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that was killed is missed after two seconds, not twenty.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "400",
    # On a machine that has much to do; Ray's workers would wait until nobody else has anything.
    "RAY_worker_niceness": "0",
    "RAY_gcs_server_request_timeout_seconds": "120",
    "RAY_worker_register_timeout_seconds": "240",
}


class Nodes:
    """A head, and further nodes."""

    def __init__(self, cluster, n_processors):
        self._cluster = cluster
        self._n_processors = n_processors
        self._nodes = []

    @property
    def address(self):
        return self._cluster.address

    def add_one(self):
        """Another node."""
        self._nodes.append(self._cluster.add_node(**_options(self._n_processors)))

    def kill_one(self):
        """Kill a node with all that runs on it; returns its number."""
        node = self._nodes.pop(0)
        self._cluster.remove_node(node, allow_graceful=False)
        return node.unique_id


class FarNode:
    """A node on a ``host`` of a `network`, of the Ray at ``address``; a context manager."""

    def __init__(self, host, address, n_processors=1):
        command = [sys.executable, "-m", "tests.helpers.nodes", address, host.address, str(n_processors)]
        self._process = subprocess.Popen(host.command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.communicate()

    def wait_for_start(self, seconds=120.0):
        """Whether it has started, or, from the second time on, started again, within so many ``seconds``."""
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return bool(ready and self._process.stdout.readline())


def kill_worker(actors):
    """Kill the process of the first of a pool's ``actors``; returns its number. Raises Ray's error if it is dead."""
    import ray

    process = ray.get(actors[0].process_number.remote())
    os.kill(process, signal.SIGKILL)
    return process


@contextlib.contextmanager
def two_nodes(n_processors=1):
    """`Nodes`, two of them, each with so many processors; all gone when the context ends.

    The first is the head, which is never killed.
    """
    with head_node(n_processors) as nodes:
        nodes.add_one()
        yield nodes


@contextlib.contextmanager
def head_node(n_processors=1, **options):
    """`Nodes` with nothing but the head, started with further ``options`` of Ray's."""
    from ray.cluster_utils import Cluster

    with _lean_nodes():
        cluster = Cluster(initialize_head=True, head_node_args={**_options(n_processors), **options})
        try:
            yield Nodes(cluster, n_processors)
        finally:
            cluster.shutdown()


@contextlib.contextmanager
def _lean_nodes():
    """Without dashboard and log monitor nodes start in half the time."""
    from ray._private.node import Node

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, os.environ.get(name, value))
        patch.setattr(Node, "start_api_server", lambda self, **options: None)
        patch.setattr(Node, "start_log_monitor", lambda self: None)
        patch.setattr(Node, "start_raylet", _without_waiting(Node.start_raylet))
        yield


def _options(n_processors):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"num_cpus": n_processors, "runtime_env_agent_port": free.getsockname()[1]}


def _without_waiting(start):
    """``start`` a raylet that need not wait for its agents, two Pythons, to write down at which ports they listen.

    It gives up after a quarter of a minute, which on a busy machine is too soon. Without ``ray[default]`` an agent for
    metrics has no port, -1, and that of the other is chosen by us.
    """

    def start_raylet(node, *arguments, **options):
        runtime = node._ray_params.runtime_env_agent_port
        ports = {"metrics_agent": -1, "metrics_export": -1, "dashboard_agent_listen": -1, "runtime_env_agent": runtime}
        for name, port in ports.items():
            (Path(node._session_dir) / f"{name}_port_{node._node_id}").write_text(str(port))
        start(node, *arguments, **options)

    return start_raylet


def _be_a_node(address, ip, n_processors):
    from ray._private.node import Node
    from ray._private.parameter import RayParams
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    options = {"gcs_address": address, "redis_address": address, "node_ip_address": ip, "node_manager_port": 0}
    options |= {"num_gpus": 0, "object_store_memory": 150 * 2**20, "min_worker_port": 0, "max_worker_port": 0}
    with _lean_nodes():
        while True:
            node = Node(RayParams(**options, **_options(int(n_processors)), include_log_monitor=False), head=False)
            (raylet,) = node.all_processes[PROCESS_TYPE_RAYLET]
            print("started", flush=True)
            while is_wanted := not select.select([sys.stdin], [], [], 0)[0]:
                if raylet.process.poll() is not None:
                    break
                time.sleep(0.1)
            node.kill_all_processes(check_alive=False, allow_graceful=False)
            if not is_wanted:
                return


if __name__ == "__main__":
    _be_a_node(*sys.argv[1:])
