# SPDX-License-Identifier: Apache-2.0
"""docs/operations.md, done: a backup of MongoDB's files and a restore of it; a rotated password without a pause."""
import shutil
import subprocess

import pytest

import deploy_kit as d
import kit
from fault_servers import RedisNode, fault_fleet, parts  # noqa: F401
from replica import ReplicaSet

BEFORE = [f"https://origin.test/id/{number}/40/30" for number in range(30)]
AFTER = [f"https://origin.test/id/{number}/40/30" for number in range(100, 120)]


@pytest.fixture
def mongo(parts, tmp_path):  # noqa: F811
    servers = ReplicaSet(tmp_path, size=1)
    servers.close = servers.stop
    return parts(servers)


def test_a_backup_is_restored_and_what_came_after_it_is_pushed_again(mongo, fault_fleet, tmp_path):  # noqa: F811
    node = mongo.nodes[0]
    cluster = fault_fleet(mongo=mongo)
    kept = cluster.run(BEFORE, "before")
    node.direct.admin.command("fsync", lock=True)
    try:
        shutil.copytree(node.data, tmp_path / "backup", ignore=shutil.ignore_patterns("mongod.lock", "*.sock"))
    finally:
        node.direct.admin.command("fsyncUnlock")
    lost = cluster.run(AFTER, "after")

    for daemon in cluster.daemons:
        daemon.ask()
    for daemon in cluster.daemons:
        assert daemon.stop(90) == 0
    node.kill()
    shutil.rmtree(node.data)
    shutil.copytree(tmp_path / "backup", node.data)
    node.start()
    mongo.wait_primary()

    for role in ("api", "scheduler", "worker"):
        cluster.start(role)
    cluster.url = f"http://{cluster.of('api')[0].wait_address('api')}"
    assert cluster.catalog(kept["id"])["counts"] == kept["counts"]
    cluster.get(f"/v1/catalogs/{lost['id']}", status=404)
    again = cluster.run(AFTER, "after")
    assert again["counts"] == lost["counts"]
    assert cluster.verify() == kept["counts"]["stored"] + lost["counts"]["stored"]


def test_a_password_is_rotated_without_a_pause(parts, fault_fleet, tmp_path):  # noqa: F811
    redis = parts(RedisNode(tmp_path))
    redis.client.execute_command("ACL", "SETUSER", "default", "resetpass", ">old")
    redis.client = kit.redis_client.Redis(port=redis.port, password="old", socket_timeout=10)
    cluster = fault_fleet(redis=redis, redis_url=f"redis://:old@127.0.0.1:{redis.port}/0", schedulers=1, workers=2)

    redis.client.execute_command("ACL", "SETUSER", "default", ">new")
    cluster.config.write_text(cluster.config.read_text().replace("redis://:old@", "redis://:new@"))
    catalog = cluster.push([f"https://origin.test/fault/slow/100?k=rotate-{number}" for number in range(150)])
    for daemon in list(cluster.daemons):
        fresh = cluster.start(daemon.role)
        fresh.probe_address()
        assert daemon.stop(90) == 0
    redis.client.execute_command("ACL", "SETUSER", "default", "<old")
    redis.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    cluster.url = f"http://{cluster.of('api')[0].wait_address('api')}"
    cluster.redis = redis.client = kit.redis_client.Redis(port=redis.port, password="new", socket_timeout=10)
    receipt = cluster.wait_drained(catalog)
    assert receipt["counts"]["stored"] == 150 and cluster.verify() == 150
    with pytest.raises(kit.redis_client.ResponseError, match="WRONGPASS"):
        kit.redis_client.Redis(port=redis.port, password="old").ping()


@pytest.mark.quick
def test_the_commands_of_the_page_exist():
    text = (d.ROOT / "docs" / "operations.md").read_text()
    for name in ("tools/release", "tools/image", "tools/sizing", "compose.yaml", "helm/grisaille/values-dev.yaml", "deploy/compose/test.env"):
        assert (d.ROOT / name).exists(), name
    for step in ("image", "push", "chart", "upgrade", "rollback"):
        assert f"tools/release {step}" in text and f"    {step})" in (d.ROOT / "tools" / "release").read_text()
    assert subprocess.run([d.tool("kubectl"), "version", "--client"], capture_output=True, timeout=60).returncode == 0
