"""Several nodes of a Ray on one machine, which can be killed and added."""

import contextlib

import pytest

ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that was killed is missed after two seconds, not twenty.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "400",
    "RAY_gcs_server_request_timeout_seconds": "120",  # on a machine that has much to do
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
        self._nodes.append(self._cluster.add_node(num_cpus=self._n_processors))

    def kill_one(self):
        """Kill a node with all that runs on it; returns its number."""
        node = self._nodes.pop(0)
        self._cluster.remove_node(node, allow_graceful=False)
        return node.unique_id


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
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": n_processors})
        try:
            nodes = Nodes(cluster, n_processors)
            nodes.add_one()
            yield nodes
        finally:
            cluster.shutdown()
