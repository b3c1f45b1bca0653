"""Takes a release from opening to closing through the client that openapi-python-client generated.

Nothing here knows the procedure: the release says what comes next and which roles do it, the item says which
kinds of evidence it accepts. Only what a piece of evidence of each kind looks like is written down.

    complete_release.py URL SHIPLOG DATA [IDS]

URL is a service with a simulated clock, SHIPLOG the program that prints tokens for it, DATA its directory. With
IDS, a directory, it leaves a second release in the middle of its deployment, and there a file of ids for each
kind of thing that both releases have, so that whoever tests on reaches more than empty lists.
"""

import subprocess
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path

from shiplog_client import AuthenticatedClient
from shiplog_client.api.approvals import (
    answer_roll_call,
    approve_release,
    authorize_production,
    list_approvals,
    list_authorizations,
    request_approval,
    set_window,
)
from shiplog_client.api.candidates import tag_candidate
from shiplog_client.api.deployments import finish_deployment, list_leases, release_lease, start_deployment
from shiplog_client.api.evidence import list_evidence
from shiplog_client.api.items import attest_item, get_item
from shiplog_client.api.products import register_product
from shiplog_client.api.releases import close_release, complete_release, get_checklist, get_release, open_release
from shiplog_client.models.answer import Answer
from shiplog_client.models.answer_roll_call import AnswerRollCall
from shiplog_client.models.artifact import Artifact
from shiplog_client.models.attest_item import AttestItem
from shiplog_client.models.default_procedure import DefaultProcedure
from shiplog_client.models.deployment_outcome import DeploymentOutcome
from shiplog_client.models.finish_deployment import FinishDeployment
from shiplog_client.models.grant_approval import GrantApproval
from shiplog_client.models.meaning import Meaning
from shiplog_client.models.new_evidence import NewEvidence
from shiplog_client.models.open_release import OpenRelease
from shiplog_client.models.problem import Problem
from shiplog_client.models.product_settings import ProductSettings
from shiplog_client.models.register_product import RegisterProduct
from shiplog_client.models.set_window import SetWindow
from shiplog_client.models.start_deployment import StartDeployment
from shiplog_client.models.tag_candidate import TagCandidate
from shiplog_client.types import UNSET

COMMIT = "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0"
SHA256 = "0c" * 32
IMAGE = {"name": "checkout-api", "digest": f"sha256:{SHA256}"}
# One person for each role; nobody signs twice, and who asks for an approval does not give it.
ROLES = ["release_manager", "engineer", "qa", "operator", "on_call", "product_owner", "approver", "dba", "admin"]
ORDER = {"attestItem": 1, "finishDeployment": 2, "completeRelease": 2}
# Time passes in such steps while nothing can be done.
STEP = timedelta(minutes=15)
# A day of keeping the previous version, and what comes before it.
PATIENCE = 4 * 36


class Refused(Exception):
    """The service answered with a problem; its state may let the same request pass later."""


def done(response):
    """The typed answer of a call that succeeded."""
    if isinstance(response.parsed, Problem):
        problem = response.parsed
        rows = [f"{row.input_}: {row.observed}" for row in problem.rows or [] if not row.ok]
        message = f"{problem.status} {problem.code}: {problem.detail} {rows[:3]}"
        if problem.status == 409:
            raise Refused(message)
        raise SystemExit(message)
    if response.parsed is None:
        raise SystemExit(f"an answer that the document does not describe: {response.status_code} {response.content!r}")
    return response.parsed


class Service:
    """The people of the product, each with a token, and the clock."""

    def __init__(self, url: str, shiplog: str, data: str):
        def client(role: str) -> AuthenticatedClient:
            token = [shiplog, "token", "--data", data, "--subject", role.replace("_", "-"), "--role", role]
            token = subprocess.run(token, check=True, capture_output=True, text=True).stdout.strip()
            # A status that the document does not describe ends the run.
            return AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)

        self.people = {role: client(role) for role in ROLES}
        self.reader = self.people["qa"]
        self.pass_time(timedelta())

    def by(self, role: str) -> dict:
        """Who sends a command, with a key of its own."""
        return {"client": self.people[role], "idempotency_key": str(uuid.uuid4())}

    def pass_time(self, by: timedelta) -> None:
        """The clock of development is no part of the API."""
        http = self.people["admin"].get_httpx_client()
        answer = http.post("/dev/clock", json={"advance_s": int(by.total_seconds())}).raise_for_status()
        self.now = datetime.fromisoformat(answer.json()["now"].replace("Z", "+00:00"))


class Release:
    def __init__(self, service: Service, version: str, previous: str):
        self.service, self.version, self.id = service, version, f"checkout-{version}"
        self.by, self.reader = service.by, service.reader
        self.window = (service.now, service.now)
        body = OpenRelease(product="checkout", version=version, reason="Through the client", previous=previous)
        done(open_release.sync_detailed(body=body, **self.by("release_manager")))

    def summary(self):
        return done(get_release.sync_detailed(self.id, client=self.reader))

    def proceed_until(self, reached) -> None:
        """Does what the release asks for, and lets time pass while nothing can be done."""
        idle = 0
        while not reached(summary := self.summary()):
            refusals = []
            # A deployment starts before anybody signs what it showed, and ends after that.
            for action in sorted(summary.next_actions, key=lambda action: ORDER.get(action.operation, 0)):
                try:
                    getattr(self, action.operation)(action, self.summary())
                except Refused as refused:
                    refusals.append(f"{action.operation} {action.item or ''}: {refused}")
            if self.summary().decision_revision > summary.decision_revision:
                idle = 0
                continue
            self.release_leases()
            self.service.pass_time(STEP)
            idle += 1
            if idle > PATIENCE:
                raise SystemExit("nothing moves any more:\n" + "\n".join(refusals))

    # One method for each operation that a release may ask for.

    def tagCandidate(self, action, summary) -> None:
        body = TagCandidate(
            tag=f"v{self.version}-rc.1", tag_object_sha="1f" * 20, commit_sha=COMMIT, artifacts=[Artifact.from_dict(IMAGE)]
        )
        done(tag_candidate.sync_detailed(self.id, body=body, **self.by("engineer")))

    def attestItem(self, action, summary) -> None:
        item = done(get_item.sync_detailed(self.id, action.item, client=self.reader))
        kind = item.accepts[0].value
        # The service takes a person's word for both; this person has seen neither yet.
        if action.item.startswith("5.") and not summary.production.deployments:
            raise Refused("nothing was deployed yet")
        if kind == "lease" and any(lease.status == "held" for lease in summary.production.leases):
            raise Refused("the previous version is still kept")
        evidence = [self.evidence(kind)]
        signers = [next(role.value for role in item.roles if role.value in ROLES)]
        if item.second:
            signers.append(next(role.value for role in item.second if role.value not in signers))
        for signer in signers:
            body = AttestItem(statement=f"{item.name}: {item.true_when}"[:4000], new_evidence=evidence)
            try:
                done(attest_item.sync_detailed(self.id, action.item, body=body, **self.by(signer)))
            except Refused as refused:
                if "already_signed" not in str(refused):
                    raise

    def setWindow(self, action, summary) -> None:
        self.window = (self.service.now + timedelta(hours=1), self.service.now + timedelta(hours=5))
        body = SetWindow(from_=self.window[0], to=self.window[1])
        done(set_window.sync_detailed(self.id, body=body, **self.by("release_manager")))

    def requestApproval(self, action, summary) -> None:
        done(request_approval.sync_detailed(self.id, **self.by("release_manager")))

    def approveRelease(self, action, summary) -> None:
        request = summary.production.approval
        body = GrantApproval(meaning=Meaning.APPROVED, basis=request.basis)
        done(approve_release.sync_detailed(self.id, request.request, body=body, **self.by("approver")))

    def answerRollCall(self, action, summary) -> None:
        for role in action.roles:
            body = AnswerRollCall(role=role, answer=Answer.GO)
            done(answer_roll_call.sync_detailed(self.id, body=body, **self.by(role.value)))

    def authorizeProduction(self, action, summary) -> None:
        done(authorize_production.sync_detailed(self.id, **self.by("release_manager")))

    def startDeployment(self, action, summary) -> None:
        body = StartDeployment(environment="production", authorization=summary.production.authorization.authorization)
        done(start_deployment.sync_detailed(self.id, body=body, **self.by("operator")))

    def finishDeployment(self, action, summary) -> None:
        running = next(one for one in summary.production.deployments if one.state == "running")
        body = FinishDeployment(outcome=DeploymentOutcome.SUCCEEDED)
        done(finish_deployment.sync_detailed(self.id, running.deployment, body=body, **self.by("operator")))

    def completeRelease(self, action, summary) -> None:
        done(complete_release.sync_detailed(self.id, **self.by("release_manager")))

    def closeRelease(self, action, summary) -> None:
        done(close_release.sync_detailed(self.id, **self.by("release_manager")))

    def release_leases(self) -> None:
        """The previous version is kept until its time has passed."""
        for lease in done(list_leases.sync_detailed(self.id, client=self.reader)).leases:
            if lease.status == "held":
                try:
                    done(release_lease.sync_detailed(self.id, lease.lease, **self.by("operator")))
                except Refused:
                    pass

    def evidence(self, kind: str) -> NewEvidence:
        """Minimal evidence of the kind, through the generated classes; the union must tell the kinds apart."""
        sent = {"facts": {"kind": kind} | self.facts(kind), "url": "https://evidence.example/1", "sha256": SHA256}
        evidence = NewEvidence.from_dict(sent)
        expected = "Facts" + "".join(word.capitalize() for word in kind.split("_"))
        if type(evidence.facts).__name__ != expected:
            raise SystemExit(f"{kind} was taken for {type(evidence.facts).__name__}")
        return evidence

    def facts(self, kind: str) -> dict:
        now, earlier, later = (at.isoformat() for at in (self.service.now, self.service.now - STEP, self.service.now + timedelta(hours=72)))
        interval = {"from": earlier, "to": now}
        probes = {"probes": 5, "healthy": 5}
        metrics = {"source": "prometheus", "metrics": [{"name": "error_rate", "value": 0.002, "baseline": 0.002}]}
        return {
            "git_ref": {"repository": "acme/checkout", "ref_name": "release/2.4.0", "head_sha": COMMIT},
            "commit": {"repository": "acme/checkout", "commit_sha": COMMIT},
            "semver_tag": {"name": "v2.4.0", "tag_object_sha": "1f" * 20, "commit_sha": COMMIT},
            "document": {"title": "Written down"},
            "ci_run": {
                "provider": "ci", "run_id": "7431", "attempt": 1, "workflow": "ci.yml", "head_sha": COMMIT,
                "conclusion": "success",
            },
            "test_report": {"suite": "e2e", "total": 9, "passed": 9, "failed": 0, "errored": 0, "skipped": 0},
            "deployment": {"environment": "staging", "status": "succeeded", "commit_sha": COMMIT},
            "version_probe": {
                "environment": "staging", "version": "2.4.0-rc.1", "commit_sha": COMMIT, "replicas_matched": 3,
                "replicas_total": 3,
            },
            "health_probe": {"environment": "staging", "first_at": earlier, "last_at": now} | probes,
            "migration_run": {"environment": "staging", "tool": "flyway", "applied": [], "pending": 0, "failed": 0},
            "config_snapshot": {"environment": "staging", "required": 58, "present": 58, "digest": SHA256},
            "flag_snapshot": {"environment": "production", "flags": []},
            "perf_comparison": {
                "profile_digest": SHA256, "baseline_run": "77", "samples": 5000, "duration_s": 600, "p95_ratio": 1.01,
                "p99_ratio": 1.02, "throughput_ratio": 0.99, "error_rate_delta": 0.0,
            },
            "defect_set": {"threshold": "medium", "defects": []},
            "backup": {
                "database": "orders", "started_at": earlier, "completed_at": now, "bytes": 4_000_000_000,
                "verified": True, "retained_until": later,
            },
            "drill": {
                "environment": "staging", "from_version": "2.4.0-rc.1", "to_version": "2.3.1", "started_at": earlier,
                "finished_at": now, "succeeded": True,
            },
            "notification": {"channel": "#releases", "message_id": "m-1", "recipients": ["team"], "sent_at": now},
            "approval": {
                "system": "shiplog", "reference": "proceed", "decision": "approved", "approver": "on-call",
                "decided_at": now,
            },
            "availability": {
                "person": "operator", "role": "operator", "from": self.window[0].isoformat(),
                "to": (self.window[1] + timedelta(hours=1)).isoformat(),
            },
            "dashboard": {"name": "checkout", "watcher": "on-call"},
            "metric_baseline": interval | metrics,
            "metric_window": interval | metrics,
            "canary_run": interval
            | {"weight_min_percent": 5.0, "weight_max_percent": 5.0, "requests": 5400, "coverage": 1.0},
            "timer": interval | {"planned_s": 900},
            "journey_check": {"cases": [{"name": "pay by card", "result": "pass"}]},
            "publication": {"version": "2.4.0", "status": "published"},
            "ticket": {"key": "REL-240", "status": "done"},
            "lease": interval | {"environment": "production", "version": "2.3.1"} | probes,
            "declaration": {"statement": "No incident is open"},
        }[kind]


def write_ids(directory: Path, releases: list[Release]) -> None:
    """In the form of a libFuzzer dictionary, one quoted id a line."""
    ids: dict[str, list] = {}
    for release in releases:
        read = {"release": release.id, "client": release.reader}
        production = release.summary().production
        ids.setdefault("releases", []).append(release.id)
        ids.setdefault("deployments", []).extend(one.deployment for one in production.deployments)
        ids.setdefault("leases", []).extend(one.lease for one in production.leases)
        requests = done(list_approvals.sync_detailed(**read)).requests
        ids.setdefault("requests", []).extend(one.request for one in requests)
        authorizations = done(list_authorizations.sync_detailed(**read)).authorizations
        ids.setdefault("authorizations", []).extend(one.authorization for one in authorizations)
        ids.setdefault("evidence", []).extend(one.evidence for one in all_evidence(release))
    for kind, known in ids.items():
        (directory / f"{kind}.dict").write_text("".join(f'"{one}"\n' for one in known))


def all_evidence(release) -> list:
    """Page by page, to the end of the list."""
    found, cursor = [], UNSET
    while True:
        page = done(list_evidence.sync_detailed(release.id, client=release.reader, cursor=cursor))
        found.extend(page.evidence)
        if not page.next_cursor:
            return found
        cursor = page.next_cursor


def main(url: str, shiplog: str, data: str, ids: str | None = None) -> None:
    service = Service(url, shiplog, data)
    # Items of version 1 close by a person's word, so evidence of any kind has one form here.
    settings = ProductSettings(procedure=DefaultProcedure(name="product-release", version=1))
    done(register_product.sync_detailed(body=RegisterProduct(name="checkout", settings=settings), **service.by("admin")))
    release = Release(service, "2.4.0", previous="2.3.1")
    release.proceed_until(lambda summary: summary.life.state == "closed")
    checklist = done(get_checklist.sync_detailed(release.id, client=release.reader))
    evidence = all_evidence(release)
    open_items = [item.number for step in checklist.steps for item in step.items if item.status != "satisfied"]
    if open_items or checklist.closed != checklist.total:
        raise SystemExit(f"closed with open items: {open_items}")
    kinds = {one.facts.kind for one in evidence}
    print(f"{release.id} is closed: {checklist.closed} of {checklist.total} items, {len(evidence)} pieces of "
          f"evidence of {len(kinds)} kinds, {release.summary().revision + 1} events")
    if ids:
        running = Release(service, "2.5.0", previous="2.4.0")
        running.proceed_until(lambda summary: any(one.state == "running" for one in summary.production.deployments))
        write_ids(Path(ids), [running, release])


if __name__ == "__main__":
    main(*sys.argv[1:])
