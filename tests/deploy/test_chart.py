# SPDX-License-Identifier: Apache-2.0
"""The chart: valid for Kubernetes 1.31 and its operators in every place, strict in its values, and with what production asks for."""
import json
import re

import pytest
import yaml

import deploy_kit as d

pytestmark = pytest.mark.quick
ROLES = ("scheduler", "worker", "api")
PROD = d.values("prod")
OPERATORS = ("keda.sh", "monitoring.coreos.com")


@pytest.mark.parametrize("place", d.PLACES)
def test_helm_lint_is_content(place):
    done = d.run(d.tool("helm"), "lint", "--strict", d.CHART, *d.values(place))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", d.PLACES)
def test_every_object_is_valid_for_kubernetes_1_31(place):
    ours = [thing for thing in d.rendered(*d.values(place)) if thing["apiVersion"].split("/")[0] not in OPERATORS]
    program = """import json, sys, kubernetes_validate
for thing in json.load(sys.stdin):
    try:
        kubernetes_validate.validate(thing, "1.31", strict=True)
    except kubernetes_validate.ValidationError as error:
        print(thing["kind"], thing["metadata"]["name"], error.message)
"""
    done = d.pinned(program, input=json.dumps(ours))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert d.pinned(program, input=json.dumps([{**ours[0], "spec": {"nonsense": 1}}])).stdout, "the check accepts anything"


def test_objects_of_operators_are_valid_by_their_own_schemas():
    sets = ("--set", "autoscaling.redisAddress=redis:6379", "--set", "autoscaling.redisPasswordKey=redis-password")
    theirs = [thing for thing in d.rendered(*PROD, *sets) if thing["apiVersion"].split("/")[0] in OPERATORS]
    assert {thing["kind"] for thing in theirs} == {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
    check = ("node", d.ROOT / "deploy" / "lint" / "validate-kinds.mjs", d.TOOLS / "node")
    done = d.run(*check, input=json.dumps(theirs))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    broken = {**d.of_kind(theirs, "ScaledObject")[0], "spec": {"nonsense": 1}}
    assert d.run(*check, input=json.dumps([broken])).stdout, "the check accepts anything"


@pytest.mark.parametrize("sets, says", [
    (["--set", "worker.replica=3"], "replica"), (["--set", "autoscaling.kind=magic"], "autoscaling.kind"),
    (["--set", "config.redis.url=redis://x"], "config"), (["--set", "worker.terminationGracePeriodSeconds=10"], "terminationGracePeriodSeconds"),
    (["--set", "api.tokens=null"], "api.tokens"), (["--set", "redis.url=http://x"], "redis.url"),
])
def test_wrong_values_are_refused_and_named(sets, says):
    done = d.template(*PROD, *sets)
    assert done.returncode != 0 and says in done.stderr, done.stderr


def test_without_an_address_the_chart_says_what_is_missing():
    done = d.template("--set-json", 'api.tokens=[{"name":"a","digest":"' + "0" * 64 + '","scopes":["read"]}]')
    assert done.returncode != 0 and "where is Redis?" in done.stderr, done.stderr


def test_an_existing_secret_is_used_and_none_is_made():
    objects = d.rendered(*PROD)
    assert not [thing for thing in objects if thing["kind"] == "Secret"]
    for template in d.pods(objects).values():
        stores = next(volume for volume in template["spec"]["volumes"] if volume["name"] == "stores")
        assert stores["secret"]["secretName"] == "grisaille-stores"


def test_own_stores_get_a_generated_password_that_every_part_agrees_on():
    secret = d.of_kind(d.rendered(*d.values("dev")), "Secret")[0]["stringData"]
    assert len(secret["redis-password"]) == 32 and f":{secret['redis-password']}@" in secret["redis-url"]


def test_no_password_is_in_a_config_map():
    objects = d.rendered(*d.values("test"), "--set", "devStores.enabled=false", "--set", "redis.url=redis://:hush1@r:6379/0", "--set", "mongo.uri=mongodb://u:hush2@m/")
    for thing in objects:
        if thing["kind"] != "Secret":
            assert "hush" not in json.dumps(thing), thing["kind"]


def test_the_program_accepts_the_configuration_of_every_place(tmp_path):
    for place in d.PLACES:
        config = d.of_kind(d.rendered(*d.values(place)), "ConfigMap", "shop-grisaille")[0]["data"]["grisaille.yaml"]
        (tmp_path / "grisaille.yaml").write_text(config)
        done = d.run(d.kit.find_binary(), "config", "--config", tmp_path / "grisaille.yaml", env=d.kit.clean_environment())
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", d.PLACES)
def test_every_container_is_locked_down_bounded_and_pinned(place):
    for name, template in d.pods(d.rendered(*d.values(place))).items():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["capabilities"]) == (False, True, {"drop": ["ALL"]}), name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"} and container["resources"]["limits"].keys() == {"memory"}, name
            assert not container["image"].endswith(":latest") and re.search(r"[:@]", container["image"]), name


def test_each_role_has_probes_grace_account_budget_policy_and_spread():
    objects = d.rendered(*PROD)
    for role in ROLES:
        deployment = d.of_kind(objects, "Deployment", role)[0]
        pod = deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert container["args"] == [role]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz" and container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert pod["terminationGracePeriodSeconds"] >= 70
        assert pod["serviceAccountName"] == d.of_kind(objects, "ServiceAccount", role)[0]["metadata"]["name"]
        assert {spread["topologyKey"] for spread in pod["topologySpreadConstraints"]} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for kind in ("PodDisruptionBudget", "NetworkPolicy"):
            spec = d.of_kind(objects, kind, role)[0]["spec"]
            selector = (spec.get("selector") or spec["podSelector"])["matchLabels"]
            assert selector.items() <= labels.items() and selector["app.kubernetes.io/component"] == role, kind
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_only_workers_reach_the_internet_and_no_private_range():
    objects = d.rendered(*PROD)
    for role in (*ROLES, "job"):
        blocks = [to["ipBlock"] for rule in d.of_kind(objects, "NetworkPolicy", role)[0]["spec"]["egress"] for to in rule.get("to", []) if "ipBlock" in to]
        assert bool(blocks) == (role in ("worker", "job")), role
        assert not blocks or {"10.0.0.0/8", "169.254.0.0/16"} <= set(blocks[0]["except"]), role


@pytest.mark.parametrize("kind, expected", [("none", None), ("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_workers_are_scaled_as_asked_and_by_one_alone(kind, expected):
    objects = d.rendered(*PROD, "--set", f"autoscaling.kind={kind}")
    scalers = [thing for thing in objects if thing["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    assert [thing["kind"] for thing in scalers] == ([expected] if expected else [])
    worker = d.of_kind(objects, "Deployment", "worker")[0]
    assert ("replicas" in worker["spec"]) == (kind == "none"), "a scaler and a fixed number fight each other"
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]


def test_keda_sees_pending_and_unread_jobs_and_keeps_a_worker():
    scaler = d.of_kind(d.rendered(*PROD, "--set", "autoscaling.redisAddress=r:6379", "--set", "autoscaling.minReplicas=1"), "ScaledObject")[0]["spec"]
    prometheus, streams = scaler["triggers"]
    assert "grisaille_stream_pending" in prometheus["metadata"]["query"] and "grisaille_stream_lag" in prometheus["metadata"]["query"]
    assert (streams["metadata"]["stream"], streams["metadata"]["consumerGroup"]) == ("{gri}:jobs", "workers")
    assert scaler["minReplicaCount"] == 1


def test_the_rule_object_has_the_shared_rules_and_links_to_runbooks():
    rule = d.of_kind(d.rendered(*PROD), "PrometheusRule")[0]["spec"]
    shared = yaml.safe_load((d.ROOT / "deploy" / "prometheus" / "grisaille.rules.yaml").read_text())
    assert [group["name"] for group in rule["groups"]] == [group["name"] for group in shared["groups"]]
    alerts = [entry for group in rule["groups"] for entry in group["rules"] if "alert" in entry]
    assert alerts and all(entry["annotations"]["runbook_url"] == f"https://git.example.com/grisaille/blob/main/docs/runbooks/{entry['alert']}.md" for entry in alerts)


def test_dashboards_are_shipped_whole():
    maps = {name: json.loads(text) for thing in d.rendered(*PROD) if thing["kind"] == "ConfigMap" and "dashboard" in thing["metadata"]["name"] for name, text in thing["data"].items()}
    assert maps == {f"{name}.json": board for name, board in d.dashboards().items()}


def test_the_service_monitor_finds_every_role():
    objects = d.rendered(*PROD)
    service = d.of_kind(objects, "Service", "metrics")[0]
    assert d.of_kind(objects, "ServiceMonitor")[0]["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    for role in ROLES:
        labels = d.of_kind(objects, "Deployment", role)[0]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()


def test_jobs_are_no_part_of_the_api_service():
    objects = d.rendered(*PROD)
    selector = d.of_kind(objects, "Service", "api")[0]["spec"]["selector"]
    for name, template in d.pods(objects).items():
        if name.endswith(("migrate", "scrub")):
            assert not selector.items() <= template["metadata"]["labels"].items(), f"{name} would get the API's requests"


def test_migration_runs_before_an_upgrade_and_scrub_on_its_schedule():
    objects = d.rendered(*PROD)
    assert d.of_kind(objects, "Job", "migrate")[0]["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    scrub = d.of_kind(objects, "CronJob", "scrub")[0]["spec"]
    assert scrub["concurrencyPolicy"] == "Forbid" and scrub["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][0] == "scrub"


def test_the_ingress_shows_the_api_and_neither_metrics_nor_probes():
    paths = [path["path"] for rule in d.of_kind(d.rendered(*PROD), "Ingress")[0]["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == ["/v1", "/openapi.json"]


def test_a_changed_configuration_rolls_the_pods():
    def sums(*more):
        return {name: template["metadata"]["annotations"]["checksum/config"] for name, template in d.pods(d.rendered(*PROD, *more)).items() if "annotations" in template["metadata"]}
    before, after = sums(), sums("--set", "config.worker.slots=7")
    assert before and all(before[name] != after[name] for name in before)


def test_pods_stay_where_they_take_a_changed_configuration_over_by_themselves():
    stay = ("--set", "restartOnConfigChange=false")
    pods = [d.pods(d.rendered(*PROD, *stay, "--set", f"config.worker.slots={slots}")) for slots in (7, 8)]
    assert pods[0] == pods[1]
    assert not any("checksum/config" in template["metadata"].get("annotations", {}) for template in pods[0].values())
