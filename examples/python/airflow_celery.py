# SPDX-License-Identifier: Apache-2.0
"""Grisaille from Airflow or Celery: a task that pushes a catalog with the command, waits, and reads the receipt.

`grisaille push --wait --json` ends with 0 when everything of the catalog was stored, 1 when something of it is dead, 2 for wrong usage and 3
when MongoDB can't be reached: only the last is worth a retry by the scheduler of tasks, for Grisaille retries URLs itself. Pushing the
same bytes under the same name again is the same catalog, so that a task that is run twice does no work twice.

Airflow: PythonOperator(task_id="images", python_callable=push_and_wait, op_args=["catalog.txt"], retries=5)
Celery:  app.task(push_and_wait, autoretry_for=(Unreachable,), retry_backoff=True)
"""
import json
import subprocess


class Unreachable(Exception):
    """A service does not answer: try the task again."""


def push_and_wait(path, grisaille="grisaille", config=None, may_die=0.0, seconds=None):
    """The receipt's counts. ValueError where more than `may_die` of the accepted URLs are dead."""
    command = [grisaille, "push", "--wait", "--json", *(["--config", str(config)] if config else []), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode == 3:
        raise Unreachable(done.stderr.strip())
    if done.returncode == 2:
        raise RuntimeError(done.stderr.strip())
    counts = json.loads(done.stdout)["counts"]
    if counts["dead"] > may_die * counts["accepted"]:
        raise ValueError(f"{counts['dead']} of {counts['accepted']} URLs are dead: {counts}")
    return counts
