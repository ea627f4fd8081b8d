"""The files for Kubernetes and the cloud in the documentation are what their readers' tools expect."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "catalogue.md"


@pytest.fixture(scope="module")
def manifests():
    found = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [yaml.safe_load(text) for text in found]


def test_the_rayjob_has_what_kuberay_requires_and_its_command_exists(manifests):
    """By its CustomResourceDefinition (ray.io/v1), which is too large to be kept here."""
    from unweave.cli.main import app

    [job] = [each for each in manifests if each.get("kind") == "RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(job["spec"]) <= {
        "backoffLimit", "entrypoint", "rayClusterSpec", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"
    }  # fmt: skip
    assert job["spec"]["backoffLimit"] == 0  # a failed song is an exit status of 1, as `test_the_command` has it
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) <= {"enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs", "rayVersion"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        [container] = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= set(container)
        limits = container["resources"]["limits"]
        assert container["resources"]["requests"] == limits
        assert re.fullmatch(r"\d+Gi", limits["memory"])
    for group in cluster["workerGroupSpecs"]:
        assert {"groupName", "minReplicas", "maxReplicas", "template"} <= set(group)
        assert group["minReplicas"] <= group["maxReplicas"]
    # As many workers as processors: half a gigabyte for each, and two more.
    memory = int(limits["memory"].removesuffix("Gi"))
    assert memory >= 0.5 * int(limits["cpu"]) + 2

    program, command, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "unweave"
    context = app.commands[command].make_context(command, arguments)
    assert context.params["source"].startswith("s3://")
    assert context.params["address"] == "auto"


def test_the_cluster_of_ray_up_has_its_node_types(manifests):
    [cluster] = [each for each in manifests if "available_node_types" in each]
    types = cluster["available_node_types"]
    assert cluster["head_node_type"] in types
    assert cluster["max_workers"] >= max(each.get("max_workers", 0) for each in types.values())
    assert all({"node_config", "resources"} <= set(each) for each in types.values())
    # Ubuntu 24.04 lets nobody install into its own Python, and Ray's shells find programs by ~/.bashrc.
    [install] = [each for each in cluster["setup_commands"] if re.search(r"pip3? install", each)]
    environment = re.match(r"python3 -m venv (~/\w+) && \1/bin/pip install ", install)[1]
    # On the head Ray installs boto3 afterwards: if there is none yet, with a botocore that is too new for s3fs.
    assert "boto3" in install.partition("#")[0].split()
    home = environment.replace("~", "$HOME")
    assert any(f'PATH="{home}/bin:$PATH"' in each and "~/.bashrc" in each for each in cluster["setup_commands"])
    # The default image of Ray's is Ubuntu 18.04, whose Python is 3.6.
    assert all(each["node_config"]["ImageId"] == "UBUNTU" for each in types.values())
    assert 'sed -i "s/UBUNTU/$image/" cluster.yaml' in PAGE.read_text(encoding="utf-8")
