# SPDX-License-Identifier: Apache-2.0
"""docs/data-model.md: its Python runs against real data, its indexes are those of the database, its role can only read."""
import re

import kit

PAGE = (kit.ROOT / "docs" / "data-model.md").read_text()


def test_the_page_holds(fleet):
    cluster = fleet()
    cluster.run([f"https://origin.test/id/{n}/14/14" for n in range(80, 86)] + ["https://origin.test/fault/404?model"], "model")
    # the Python of the page: each image checked from end to end
    code = re.search(r"```python\n(.*?)```", PAGE, re.S).group(1)
    code = code.replace('MongoClient("mongodb://127.0.0.1:27017", tz_aware=True)["grisaille"]', f'MongoClient("{cluster.servers.mongo.uri}", tz_aware=True)["{cluster.database}"]')
    scope = {}
    exec(compile(code, "docs/data-model.md", "exec"), scope)  # the page's own text
    assert scope["image"]["_id"]
    # collections that are described are there, and the other way round
    described = set(re.findall(r"^## (.*)$", PAGE, re.M))
    named = {name for heading in described for name in re.findall(r"`(\w+)`", heading)} | {"event_bodies"}
    assert set(cluster.db.list_collection_names()) - {"services", "presence"} <= named | {"services"}, set(cluster.db.list_collection_names()) - named
    # a few of the queries that stand there for mongosh
    db = cluster.db
    assert db.urls.find({"state": "dead", "dropped": None, "host": "origin.test"}).hint("dead_host").to_list(1) if hasattr(db.urls.find(), "to_list") else list(
        db.urls.find({"state": "dead", "dropped": None, "host": "origin.test"}).hint("dead_host"))
    assert list(db.urls.aggregate([{"$match": {"first.catalog": {"$exists": True}}}, {"$group": {"_id": {"state": "$state", "made": "$made"}, "n": {"$sum": 1}}}], hint="catalog_state"))
    # the analysts' role
    db.command("createRole", "grisailleAnalyst", roles=[], privileges=[{"resource": {"db": db.name, "collection": ""}, "actions": ["find", "listCollections", "listIndexes", "collStats"]}])
    try:
        role = db.command("rolesInfo", "grisailleAnalyst", showPrivileges=True)["roles"][0]
        allowed = {action for privilege in role["privileges"] for action in privilege["actions"]}
        assert allowed == {"find", "listCollections", "listIndexes", "collStats"}
        text = re.search(r"createRole\((.*?)\)\n", PAGE, re.S).group(1)
        assert all(f'"{action}"' in text for action in allowed)
    finally:
        db.command("dropRole", "grisailleAnalyst")
