// What a program written against the generated types looks like: open a release, attest an item, read the
// checklist. It is type-checked, never run; the lines that must not compile say so.

import type { components, operations } from "./shiplog";

type Schemas = components["schemas"];
type BodyOf<Id extends keyof operations> = operations[Id] extends {
  requestBody?: { content: { "application/json": infer Body } };
}
  ? Body
  : never;
type AnswerOf<Id extends keyof operations, Status extends keyof operations[Id]["responses"]> =
  operations[Id]["responses"][Status] extends { content: { "application/json": infer Answer } } ? Answer : never;

interface Api {
  post<Answer>(path: string, body: unknown, idempotencyKey: string): Promise<Answer>;
  get<Answer>(path: string): Promise<Answer>;
}

export async function openRelease(api: Api): Promise<Schemas["Summary"]> {
  const body: BodyOf<"openRelease"> = {
    product: "checkout",
    version: "2.4.0",
    reason: "New payment methods and 14 fixes",
    class: "high_risk",
  };
  return api.post<AnswerOf<"openRelease", 201>>("/v1/releases", body, "open-checkout-2.4.0");
}

export async function attestBranch(api: Api, release: string): Promise<string> {
  const branch: Schemas["FactsGitRef"] = {
    kind: "git_ref",
    repository: "acme/checkout",
    ref_name: "release/2.4.0",
    head_sha: "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0",
    protected: true,
  };
  const body: BodyOf<"attestItem"> = {
    statement: "Branch protected, no force-push",
    new_evidence: [{ facts: branch, url: "https://git.example/acme/checkout/tree/release/2.4.0" }],
  };
  const path = `/v1/releases/${release}/items/1.1/attest`;
  const answer = await api.post<AnswerOf<"attestItem", 200>>(path, body, "attest-1.1");
  return "dry_run" in answer ? `${answer.events.length} events` : sentence(answer);
}

// A status is a union: each of its members is there only where it means something.
function sentence(item: Schemas["ItemView"]): string {
  switch (item.status) {
    case "pending":
      return `${item.number} is open`;
    case "satisfied":
      return `${item.number} is ${item.assurance} since ${item.at}`;
    case "waived":
      return `${item.number} is waived until ${item.valid_until}`;
    case "not_applicable":
      return `${item.number} does not apply: ${item.proof}`;
    case "stale":
      return item.reaffirmable ? `${item.number} waits to be reaffirmed` : `${item.number} needs new evidence`;
    case "failed":
      return `${item.number} failed at ${item.since}`;
  }
}

export async function openItems(api: Api, release: string): Promise<string[]> {
  const checklist = await api.get<AnswerOf<"getChecklist", 200>>(`/v1/releases/${release}/checklist`);
  return checklist.steps.flatMap((step) => step.items.filter((item) => item.status !== "satisfied").map(sentence));
}

export function explain(problem: Schemas["Problem"]): string {
  const rows = problem.rows ?? [];
  return [problem.title, ...rows.filter((row) => !row.ok).map((row) => `${row.input} is ${row.observed}`)].join("\n");
}

// @ts-expect-error: a version is required
export const withoutVersion: BodyOf<"openRelease"> = { product: "checkout", reason: "no version" };

export const unknownKind: Schemas["NewEvidence"] = {
  // @ts-expect-error: there is no such kind of evidence
  facts: { kind: "rumour", statement: "somebody said so" },
};

// @ts-expect-error: a pending item has no assurance
export const assuranceOfNothing = (item: Schemas["ItemViewPending"]) => item.assurance;
