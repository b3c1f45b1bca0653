"""Every series that a dashboard or an alert asks for is one that services give, and Prometheus takes every question.

Run by `deploy/topology -- python series.py REPOSITORY`, beside a topology through which a whole release went.
"""

import contextlib
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
REPOSITORY = pathlib.Path(sys.argv[1])
PROMETHEUS, NODES = os.environ["PROMETHEUS_URL"], [os.environ["NODE_A_URL"], os.environ["NODE_B_URL"]]
NAME = r"\b(?:shiplog|node|kubelet|process)_[a-z0-9_]+"
# What Grafana puts there.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}


def read(url, token=None, body=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers={**headers, "content-type": "application/json"}, data=body)
    with direct.open(request, timeout=20) as answer:
        return answer.read().decode()


def refused(url, token=None, body=None):
    with contextlib.suppress(urllib.error.HTTPError):
        read(url, token, body)
        raise SystemExit(f"{url} was not refused")


def asked(path, **query):
    return json.loads(read(f"{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(query)}"))["data"]


def waited(what, holds):
    for _ in range(300):
        if told := holds():
            return told
        time.sleep(0.1)
    raise SystemExit(f"{what}: not in 30 s")


def questions():
    """Of dashboards and alerts: where, and the expression."""
    for file in sorted((REPOSITORY / "deploy/grafana").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                yield f"{file.stem}: {panel['title']}", expression
    for group in yaml.safe_load((REPOSITORY / "deploy/alerts/shiplog.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]


def main():
    for node in NODES:
        # What is refused is counted from the first time on.
        refused(f"{node}/v1/whoami", "not.a.token")
        refused(f"{node}/v1/products", os.environ["VIEWER_TOKEN"], b'{"name": "search"}')
    jobs = {"shiplog": 2, "shiplog-delivery": 1, "shiplog-flow": 1, "node": 1}

    def scraped():
        targets = asked("targets")["activeTargets"]
        up = [target["labels"]["job"] for target in targets if target["health"] == "up"]
        return {job: up.count(job) for job in jobs} == jobs

    waited("every target answers", scraped)
    for series in ("shiplog_access_denials_total", "shiplog_authentication_refusals_total"):
        waited(f"{series} was scraped", lambda: asked("query", query=series)["result"])
    rules = waited("every rule was evaluated", lambda: (
        rules := [rule for group in asked("rules")["groups"] for rule in group["rules"]]
    ) and all(rule["health"] != "unknown" for rule in rules) and rules)
    wrong = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]

    known = set(asked("label/__name__/values"))
    table = (REPOSITORY / "deploy/README.md").read_text().split("| series | appears only when |")[1].split("\n\n")[0]
    rare = set(re.findall(rf"`({NAME})`", table))
    wrong += [f"{name} is said to be rare, and is there" for name in sorted(rare & known)]
    used, expressions, answered = set(), 0, 0
    for where, expression in questions():
        expressions += 1
        # A matcher of names asks for what it matches.
        patterns = re.findall(r'__name__=~"([^"]*)"', expression)
        wrong += [f"{where}: nothing is named {p}" for p in patterns if not any(re.fullmatch(p, k) for k in known)]
        names = set(re.findall(NAME, re.sub(r'"[^"]*"', "", expression)))
        used |= names
        wrong += [f"{where}: there is no {name}" for name in sorted(names - known - rare)]
        try:
            answered += bool(asked("query", query=expression)["result"])
        except urllib.error.HTTPError as error:
            wrong.append(f"{where}: {error.read().decode()}")
    wrong += [f"{name} is said to be rare, and nobody asks for it" for name in sorted(rare - used)]
    if wrong:
        print(*wrong, sep="\n")
    print(f"{expressions} expressions of {len(used)} series, {answered} had an answer; {len(rules)} rules evaluated")
    sys.exit(1 if wrong or not used else 0)


main()
