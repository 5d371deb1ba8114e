# SPDX-License-Identifier: Apache-2.0
"""The bill of materials: valid CycloneDX 1.5, and complete: no library in the running program that it does not name."""
import json
import os
import re
import subprocess

import jsonschema
import pytest

import kit

SCHEMAS = kit.ROOT / ".tools" / "cyclonedx"


@pytest.fixture(scope="module")
def made(release, tmp_path_factory):
    path = tmp_path_factory.mktemp("sbom") / "grisaille.cdx.json"
    subprocess.run([kit.ROOT / "tools" / "make-sbom", release / "grisaille", path], check=True, timeout=300, capture_output=True)
    return json.loads(path.read_text())


def extra_items(_, allowed, instance, schema):
    """As the library has it, but for its message, which cannot sort objects (4.10)."""
    if isinstance(instance, list) and isinstance(schema.get("items"), list) and allowed is False and len(instance) > len(schema["items"]):
        yield jsonschema.ValidationError("more items than the schema has")


def validator():
    store = {}
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text())
        store[schema["$id"]] = store[f"http://cyclonedx.org/schema/{path.name}"] = schema
    schema = store["http://cyclonedx.org/schema/bom-1.5.SNAPSHOT.schema.json"]
    checker = jsonschema.validators.extend(jsonschema.Draft7Validator, {"additionalItems": extra_items})
    return checker(schema, resolver=jsonschema.RefResolver(schema["$id"], schema, store=store), format_checker=jsonschema.FormatChecker())


def test_the_bill_of_materials_is_valid_cyclonedx(made, verdicts):
    errors = [f"{'/'.join(map(str, error.path))}: {error.message[:120]}" for error in validator().iter_errors(made)]
    verdicts.check("the SBOM against the schema of CycloneDX 1.5", "valid", errors[:3] or "valid")
    spoilt = {**made, "components": [{**made["components"][0], "licenses": [{"license": {"id": "No-Such-Licence"}}]}]}
    verdicts.check("a spoilt SBOM against the same schema", "not valid", "valid" if validator().is_valid(spoilt) else "not valid")


def spellings(file):
    """A library as dpkg may know it: packages name /lib, though that is a link to /usr/lib."""
    real = os.path.realpath(file)
    return real, real.removeprefix("/usr")


def owners_of(paths):
    """Path → package, in one call: each reads the whole of dpkg's lists."""
    answer = subprocess.run(["dpkg-query", "-S", *sorted(paths)], capture_output=True, text=True, timeout=120).stdout
    return {path: packages.split(":")[0] for packages, path in (line.split(": ", 1) for line in answer.splitlines())}


def test_the_bill_of_materials_names_every_library(made, release, verdicts):
    named = {row["name"]: row for row in made["components"]}
    loaded = re.findall(r"=> (/\S+)", subprocess.run(["ldd", release / "grisaille"], check=True, capture_output=True, text=True).stdout)
    owners = owners_of({path for file in loaded for path in spellings(file)})
    missing = {file for file in loaded if not any(owners.get(path) in named for path in spellings(file))}
    verdicts.check("libraries that the program loads and the SBOM does not name", "none", sorted(missing) or "none")
    bare = [name for name, row in named.items() if not row["version"] or not row["licenses"]]
    verdicts.check(f"components without version or licence, of {len(named)}", "none", bare or "none")
    installed = dict(line.split("\t") for line in subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\n"], check=True, capture_output=True,
                                                                 text=True).stdout.splitlines())
    wrong = [name for name, row in named.items() if name != "mongod" and installed.get(name) != row["version"]]
    verdicts.check("versions that are not the installed ones", "none", wrong or "none")
    verdicts.check("the pinned mongod, marked as no part of the product", "excluded", named["mongod"]["scope"])
