"""Several nodes of a Ray on one machine, which can be killed and added."""

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that was killed is missed after two seconds, not twenty.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "400",
    # On a machine that has much to do:
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


def kill_worker(actors):
    """Kill the process of the first of a pool's ``actors``; returns its number. Raises Ray's error if it is dead."""
    import ray

    process = ray.get(actors[0].process_number.remote())
    os.kill(process, signal.SIGKILL)
    return process


@contextlib.contextmanager
def two_nodes(n_processors=1):
    """`Nodes`, two of them, each with so many processors; all gone when the context ends.

    The first is the head, which is never killed. Without dashboard and log monitor it starts in half the time.
    """
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(Node, "start_api_server", lambda self, **options: None)
        patch.setattr(Node, "start_log_monitor", lambda self: None)
        patch.setattr(Node, "start_raylet", _without_waiting(Node.start_raylet))
        cluster = Cluster(initialize_head=True, head_node_args=_options(n_processors))
        try:
            nodes = Nodes(cluster, n_processors)
            nodes.add_one()
            yield nodes
        finally:
            cluster.shutdown()


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
