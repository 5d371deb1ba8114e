# SPDX-License-Identifier: Apache-2.0
"""Rules that go by the tags of a catalog and by named lists of hosts."""
import json
import subprocess

import requests

import kit

BASE = "https://origin.test/kind/"


def test_rules_go_by_tags_of_catalogs_and_hosts(fleet, tmp_path):
    cluster = fleet(workers=1, settings={
        "host_tags": {"ours": ["origin.test", "*.origin.test"]},
        "rules": [{"name": "no gifs of guests", "when": {"host_tag": "ours", "path": "^/kind/gif/", "tag": {"from": ["guest", "stranger"]}}, "reject": True},
                  {"name": "draft", "when": {"tag": {"from": "guest", "state": "draft"}}, "reject": True}]})
    picture, moving = BASE + "png/64/40/1", BASE + "gif/64/40/1"
    plain = cluster.push([picture, moving], name="plain")
    guest = cluster.push([picture, moving], name="guest", tags="from=guest,site=a b")
    draft = cluster.push([picture, moving], name="draft", tags="state=draft,from=guest")
    assert guest["tags"] == {"from": "guest", "site": "a b"} and "tags" not in plain
    assert len({one["rules"] for one in (plain, guest, draft)}) == 3
    for catalog, refused in ((plain, {}), (guest, {moving: "no gifs of guests"}), (draft, {picture: "draft", moving: "no gifs of guests"})):
        cluster.wait_drained(catalog)
        invalid = {row["text"]: row["detail"] for row in cluster.lines(catalog) if row["outcome"] == "invalid"}
        assert invalid == refused
        assert {row["detail"] for row in cluster.get(f"/v1/catalogs/{kit.catalog_id(catalog)}/errors").json()["errors"]} == set(refused.values())
    # The rules are judged for each catalog's line; the URL itself is one job.
    assert cluster.db.urls.count_documents({}) == 2
    # The same bytes once more: the same tags are that catalog, others would be judged otherwise.
    assert cluster.push([picture, moving], name="guest", status=200, tags="site=a b,from=guest")["id"] == guest["id"]
    assert cluster.push([picture, moving], name="guest", status=200)["id"] == guest["id"]
    other = cluster.push([picture, moving], name="guest", status=409, tags="from=else")
    assert "another name" in other["detail"]
    for wrong in ("from", "From=x", "a=1,a=2", "a=", "=b", ",".join(f"k{n}=1" for n in range(17))):
        answer = requests.post(cluster.url + "/v1/catalogs", params={"tags": wrong}, data=b"x\n", timeout=60)
        assert answer.status_code == 400 and "key=value" in answer.json()["detail"], wrong
    # The command has them too, and a bare URL has none.
    (tmp_path / "list").write_text(moving + "\n")
    done = subprocess.run([kit.find_binary(), "push", "--json", "--tags", "from=stranger", "--config", cluster.config, tmp_path / "list"],
                          capture_output=True, text=True, timeout=120, check=True, env=kit.clean_environment())
    pushed = json.loads(done.stdout)
    assert pushed["tags"] == {"from": "stranger"} and cluster.wait_drained(pushed)["counts"]["invalid"] == 1
    cluster.redis.xadd(cluster.key("urls"), {"url": BASE + "gif/64/40/2", "pipeline": ""})
    kit.wait_until(lambda: cluster.db.images.count_documents({"source.url": BASE + "gif/64/40/2"}) == 1, 60, "the bare URL is stored")


def test_wrong_host_tags_are_told_with_their_line(tmp_path):
    def refused(text):
        (tmp_path / "c.yaml").write_text(text)
        done = subprocess.run([kit.find_binary(), "config", "--config", tmp_path / "c.yaml"], capture_output=True, text=True, timeout=60, env=kit.clean_environment())
        assert done.returncode == 2
        return done.stderr

    said = refused("host_tags: {a: [x.test]}\nrules:\n- name: one\n- name: two\n  when: {host_tag: b}\n")
    assert 'c.yaml:4: rules[1] "two": when.host_tag: host_tags has no b' in said
    assert "can't stand beside" in refused("host_tags: {a: [x.test]}\nrules:\n- name: one\n  when: {host_tag: a, host: y.test}\n")
    assert "when.host" in refused("host_tags: {a: ['http://x.test']}\nrules:\n- name: one\n  when: {host_tag: a}\n")
    assert "when.tag" in refused("rules:\n- name: one\n  when: {tag: {A: b}}\n")
    assert "limit" in refused("rules:\n- name: one\n  when: {tag: {a: b}}\n  limit: {concurrency: 1}\n")
