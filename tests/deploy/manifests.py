"""What compose, Kubernetes manifests, dashboards and alert rules have to be beyond their schemas.

    manifests.py compose FILE              as `docker compose config` prints it
    manifests.py kubernetes FILE...        as `kubectl kustomize` prints it
    manifests.py dashboards OUT            writes every expression as a rule into OUT, for promtool
    manifests.py alerts                    each has a runbook and tests
"""

import collections
import json
import pathlib
import re
import sys

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
PINNED = re.compile(r"^(?!.*:latest$).+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$")
SECRET = re.compile(r"pass(word)?|secret|token|key", re.I)
wrong = []


def expect(holds, *what):
    if not holds:
        wrong.append(": ".join(map(str, what)))


def compose(file):
    """The file without what it was given to fill in, so that a secret in it is one that somebody wrote there."""
    project = json.loads(pathlib.Path(file).read_text())
    services, mounted = project["services"], set()
    for name, service in services.items():
        expect(PINNED.match(service.get("image", "")), name, "its image is not pinned to a version")
        once = service.get("restart") in ("no", "on-failure:3")
        expect("mem_limit" in service, name, "its memory has no limit")
        expect(service.get("security_opt") == ["no-new-privileges:true"], name, "it may gain privileges")
        # PostgreSQL's image begins as root, to give its volume to the user it goes on as.
        if name != "postgres":
            expect(service.get("read_only"), name, "its root file system can be written")
            expect(service.get("cap_drop") == ["ALL"], name, "it keeps capabilities")
            user = str(service.get("user", "0")).split(":")[0]
            expect(user.isdecimal() and user != "0", name, "it runs as root")
        expect(not service.get("privileged") and not service.get("cap_add"), name, "it is privileged")
        expect(service.get("pid") != "host" and service.get("network_mode") != "host", name, "it is in the host's namespaces")
        # Its image has nothing to ask it with.
        if not once and name != "otel-collector":
            test = service.get("healthcheck", {}).get("test", ["NONE"])
            expect(test[0] == "CMD", name, "it has no health check, or one that needs a shell")
        for needed, how in service.get("depends_on", {}).items():
            health = services[needed].get("healthcheck")
            expect(how["condition"] != "service_healthy" or health, name, f"{needed} cannot be healthy")
        for port in service.get("ports", []):
            expect(port.get("host_ip") == "127.0.0.1", name, f"port {port.get('published')} is open to the network")
        for key, value in service.get("environment", {}).items():
            told = SECRET.search(key) and not key.endswith(("_FILE", "__FILE")) and value not in ("true", "false")
            expect(not told, name, f"{key} is a secret in clear")
            address = re.search(r"://[^/@]*:([^/@]*)@", str(value))
            expect(not address or address[1] == "from-the-environment", name, f"{key} has a password in clear")
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                source = pathlib.Path(volume["source"])
                expect(source.exists(), name, f"{source} is not there")
                expect(volume.get("read_only"), name, f"{source} can be written")
            else:
                mounted.add(volume["source"])
        for secret in service.get("secrets", []):
            expect(secret["source"] in project["secrets"], name, f"there is no secret {secret['source']}")
    for name in project["secrets"]:
        script = (DEPLOY / "compose/prepare").read_text()
        made = re.search(rf"^\s*made {name} |secrets/{name}\b", script, re.M)
        expect(made, name, "prepare does not make this secret")
    expect(set(project["volumes"]) == mounted, "volumes that nobody mounts", set(project["volumes"]) - mounted)
    print(f"{len(services)} services, {len(project['secrets'])} secrets")


def labels(thing):
    return thing["spec"]["template"]["metadata"]["labels"]


def matches(selector, of):
    return all(of.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def kubernetes(files):
    things = [thing for file in files for thing in yaml.safe_load_all(pathlib.Path(file).read_text()) if thing]
    by = collections.defaultdict(dict)
    for thing in things:
        by[thing["kind"]][thing["metadata"]["name"]] = thing
    workloads = [thing for thing in things if thing["kind"] in ("StatefulSet", "Deployment", "Job", "DaemonSet")]
    told = (DEPLOY / "CONTAINERS.md").read_text()
    pods = [labels(workload) for workload in workloads]
    for thing in things:
        name = f"{thing['kind']} {thing['metadata']['name']}"
        expect(thing["kind"] != "Secret", name, "no secret belongs into a manifest")
        if thing["kind"] != "Namespace":
            expect(thing["metadata"].get("namespace") == "shiplog", name, "it is in another namespace")
    for workload in workloads:
        name, spec = f"{workload['kind']} {workload['metadata']['name']}", workload["spec"]["template"]["spec"]
        context = spec.get("securityContext", {})
        expect(context.get("runAsNonRoot") and context.get("runAsUser"), name, "it may run as root")
        expect(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", name, "system calls are not filtered")
        expect(spec.get("automountServiceAccountToken") is False, name, "it gets a token of the cluster's API")
        expect("fsGroup" not in context or context.get("fsGroupChangePolicy") == "OnRootMismatch", name,
               "each start makes private files readable by the group")
        account = spec.get("serviceAccountName")
        expect(account is None or account in by["ServiceAccount"], name, f"there is no service account {account}")
        if "selector" in workload["spec"]:
            expect(matches(workload["spec"]["selector"], labels(workload)), name, "it does not select its own pods")
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            expect(not claim or claim in by["PersistentVolumeClaim"], name, f"there is no claim {claim}")
            there(name, by, told, "configMap", volume.get("configMap", {}).get("name"))
            there(name, by, told, "secret", volume.get("secret", {}).get("secretName"))
        for container in spec["containers"] + spec.get("initContainers", []):
            of = f"{name}, {container['name']}"
            expect(PINNED.match(container["image"]), of, f"{container['image']} is not pinned to a version")
            security = container.get("securityContext", {})
            expect(security.get("allowPrivilegeEscalation") is False, of, "it may gain privileges")
            expect(security.get("readOnlyRootFilesystem"), of, "its root file system can be written")
            expect(security.get("capabilities", {}).get("drop") == ["ALL"], of, "it keeps capabilities")
            resources = container.get("resources", {})
            expect({"cpu", "memory"} <= set(resources.get("requests", {})), of, "it does not say what it needs")
            expect("memory" in resources.get("limits", {}), of, "its memory has no limit")
            ports = {port["name"] for port in container.get("ports", [])}
            if workload["kind"] != "Job":
                for probe in ("livenessProbe", "readinessProbe"):
                    asked = container.get(probe, {})
                    expect(asked, of, f"it has no {probe}")
                    port = asked.get("httpGet", {}).get("port")
                    expect(port is None or port in ports, of, f"{probe} asks an unknown port")
            paths = sorted(mount["mountPath"] for mount in container.get("volumeMounts", []))
            for mount in container.get("volumeMounts", []):
                expect(mount["name"] in volumes or mount["name"] in claims, of, f"there is no volume {mount['name']}")
                # A mount point cannot be made in what is read only.
                inside = [path for path in paths if path.startswith(mount["mountPath"] + "/")]
                expect(not (inside and mount.get("readOnly")), of, f"{inside} lies in a volume that is read only")
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
                there(of, by, told, "secret", reference.get("name"), reference.get("key"))
                expect("value" not in variable or "@" not in variable["value"], of, f"{variable['name']} may hold a password")
    open_ports = {}
    for workload in workloads:
        for container in workload["spec"]["template"]["spec"]["containers"]:
            for port in container.get("ports", []):
                open_ports.setdefault(json.dumps(labels(workload), sort_keys=True), set()).update(
                    {port["name"], port["containerPort"]})
    for service in by["Service"].values():
        chosen = [pod for pod in pods if matches({"matchLabels": service["spec"]["selector"]}, pod)]
        expect(len(chosen) == 1, "Service", service["metadata"]["name"], "it selects no pods, or several kinds")
        for port in service["spec"]["ports"]:
            known = set().union(*(open_ports.get(json.dumps(pod, sort_keys=True), set()) for pod in chosen))
            expect(port["targetPort"] in known, "Service", service["metadata"]["name"], f"no port {port['targetPort']}")
    for budget in by["PodDisruptionBudget"].values():
        expect(any(matches(budget["spec"]["selector"], pod) for pod in pods), "a disruption budget of nothing")
    for scaler in by["HorizontalPodAutoscaler"].values():
        target = scaler["spec"]["scaleTargetRef"]
        scaled = by[target["kind"]].get(target["name"])
        expect(scaled, "an autoscaler of nothing", target["name"])
        expect(scaled is None or "replicas" not in scaled["spec"], target["name"], "its replicas are fixed, and scaled")
        expect(scaler["spec"]["minReplicas"] >= 2, target["name"], "one alone is a disruption at each upgrade")
    closed = [policy for policy in by["NetworkPolicy"].values()
              if not policy["spec"]["podSelector"] and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
              and not policy["spec"].get("ingress") and not policy["spec"].get("egress")]
    expect(closed, "nothing closes the network of what has no policy of its own")
    for policy in by["NetworkPolicy"].values():
        name = f"NetworkPolicy {policy['metadata']['name']}"
        expect(any(matches(policy["spec"]["podSelector"], pod) for pod in pods), name, "it selects no pods")
        for side in ("ingress", "egress"):
            for rule in policy["spec"].get(side, []):
                expect(rule.get("ports"), name, f"{side} on every port")
                for peer in rule.get("from", []) + rule.get("to", []):
                    if "podSelector" in peer and "namespaceSelector" not in peer:
                        expect(any(matches(peer["podSelector"], pod) for pod in pods), name, "a peer that is nobody")
    print(f"{len(things)} resources, {len(workloads)} workloads")


def there(name, by, told, kind, wanted, key=None):
    """It is among the manifests, or the text says how to make it."""
    if wanted is None:
        return
    made = wanted in by["ConfigMap"] if kind == "configMap" else False
    expect(made or f"`{wanted}`" in told, name, f"{kind} {wanted} is nowhere, and CONTAINERS.md does not name it")
    expect(key is None or f"`{key}`" in told, name, f"CONTAINERS.md does not name {key} of {wanted}")


def dashboards(out):
    rules, uids = [], set()
    for file in sorted((DEPLOY / "grafana").glob("*.json")):
        board = json.loads(file.read_text())
        expect(board["uid"] not in uids, file.name, "its uid is another's")
        uids.add(board["uid"])
        ids = [panel["id"] for panel in board["panels"]]
        expect(len(ids) == len(set(ids)), file.name, "two panels have one id")
        places = set()
        for panel in board["panels"]:
            at, where = panel["gridPos"], f"{file.stem}: {panel['title']}"
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            expect(at["x"] + at["w"] <= 24 and not cells & places, where, "it lies on another panel")
            places |= cells
            if panel["type"] == "row":
                continue
            expect(panel.get("title") and panel.get("description", "").endswith("."), where, "it does not say what it shows")
            expect(panel["fieldConfig"]["defaults"].get("unit"), where, "it has no unit")
            expect(panel.get("targets"), where, "it asks for nothing")
            expect(panel["datasource"].get("uid") == "${datasource}", where, "its data source is fixed")
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
                expect("$" not in expression, where, "it uses an unknown variable")
                rules.append({"record": f"panel:{len(rules)}", "expr": expression})
    expect(rules, "there is no dashboard")
    pathlib.Path(out).write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    print(f"{len(uids)} dashboards, {len(rules)} expressions")


def alerts():
    groups = yaml.safe_load((DEPLOY / "alerts/shiplog.yml").read_text())["groups"]
    named = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    sections = re.findall(r"^### (\w+)$", (DEPLOY / "RUNBOOKS.md").read_text(), re.M)
    fires, quiet = set(), set()
    for file in (DEPLOY / "alerts").glob("*.test.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for one in test["alert_rule_test"]:
                (fires if one["exp_alerts"] else quiet).add(one["alertname"])
    for rule in named:
        name = rule["alert"]
        expect(rule["labels"].get("severity") in ("page", "ticket"), name, "nobody knows whom it wakes")
        expect(rule["annotations"].get("summary"), name, "it does not say what is wrong")
        expect(rule["annotations"].get("runbook") == f"deploy/RUNBOOKS.md#{name.lower()}", name, "its runbook is another's")
        expect(name in sections, name, "RUNBOOKS.md has no section for it")
        expect(name in fires and name in quiet, name, "it is not shown to fire, and not to")
    expect(sections == [rule["alert"] for rule in named], "RUNBOOKS.md is in another order, or has more")
    print(f"{len(named)} alerts")


{"compose": lambda arguments: compose(*arguments), "kubernetes": kubernetes,
 "dashboards": lambda arguments: dashboards(*arguments), "alerts": lambda _: alerts()}[sys.argv[1]](sys.argv[2:])
print(*wrong, sep="\n") if wrong else None
sys.exit(1 if wrong else 0)
