#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small client of Grisaille's HTTP API: push a catalog, wait for it, read its receipt, fetch pictures. Needs requests.

As a command it pushes a file of URLs and prints what became of each line:

    grisaille_client.py http://127.0.0.1:8480 catalog.txt
"""
import os
import sys
import time

import requests


class Problem(Exception):
    """What the API answered instead: `status`, `reason` (grisaille reasons) and `detail`."""

    def __init__(self, status, body):
        self.status, self.reason, self.detail = status, body.get("reason", ""), body.get("detail", "")
        super().__init__(f"{status} {self.reason}: {self.detail}")


class Grisaille:
    def __init__(self, base, token=None, timeout=60):
        self.base, self.timeout = base.rstrip("/"), timeout
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, **options):
        answer = self.session.request(method, self.base + path, timeout=self.timeout, **options)
        if answer.status_code >= 400:
            try:
                body = answer.json()
            except ValueError:
                body = {"detail": answer.text[:200]}
            raise Problem(answer.status_code, body)
        return answer

    def push(self, data, name="", pipeline=None, retry_dead=False, refresh=False):
        """Pushes URLs (a list of them, or bytes, one a line; an open file is streamed). The catalog, as the API tells it. The same
        bytes, name and pipeline again give the same catalog: pushing again after a broken connection is safe."""
        if isinstance(data, (list, tuple)):
            data = "".join(url + "\n" for url in data).encode()
        params = {"name": name, **({"pipeline": pipeline} if pipeline else {}), **({"retry_dead": "true"} if retry_dead else {}),
                  **({"refresh": "true"} if refresh else {})}
        return self.ask("POST", "/v1/catalogs", params=params, data=data, headers={"Content-Type": "text/plain"}).json()

    def wait(self, catalog, seconds=3600, pause=1.0):
        """The catalog once it has come to its end; TimeoutError after `seconds`."""
        until = time.monotonic() + seconds
        while True:
            state = self.ask("GET", f"/v1/catalogs/{catalog['id']}").json()
            if state["finished_at"]:
                return state
            if time.monotonic() > until:
                raise TimeoutError(f"catalog {catalog['id']} is {state['state']} after {seconds} s: {state['counts']}")
            time.sleep(pause)

    def pages(self, path, name, **params):
        """Every row of a list, page by page."""
        while True:
            page = self.ask("GET", path, params=params).json()
            yield from page[name]
            if not page["next"]:
                return
            params["cursor"] = page["next"]

    def lines(self, catalog, outcome=None):
        """What became of each line."""
        return self.pages(f"/v1/catalogs/{catalog['id']}/lines", "lines", limit=1000, **({"outcome": outcome} if outcome else {}))

    def images(self, **filters):
        """Metadata, newest first; filters: catalog, host, since, until."""
        return self.pages("/v1/images", "images", limit=1000, **filters)

    def picture(self, sha256, pipeline=None):
        """The bytes of the one image with that sum; verified by the server."""
        return self.ask("GET", f"/v1/images/{sha256}/content", params={"pipeline": pipeline} if pipeline else None).content


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: grisaille_client.py BASE-URL FILE (token in GRISAILLE_TOKEN)")
    client = Grisaille(sys.argv[1], os.environ.get("GRISAILLE_TOKEN"))
    with open(sys.argv[2], "rb") as file:
        catalog = client.push(file, name=os.path.basename(sys.argv[2]))
    receipt = client.wait(catalog)
    for line in client.lines(catalog):
        print(line["line"], line["outcome"], line.get("url") or line.get("text") or "", line.get("reason") or "", sep="\t")
    sys.exit(1 if receipt["counts"]["dead"] else 0)


if __name__ == "__main__":
    main()
