// The time line of elections, each certificate with its checks, and everything else that happened.

import { at, clock, count, digits, element, renew } from "./text.js";
import { lessThanAttested } from "./cluster.js";

const SHOWN = 24;
const EVENTS_SHOWN = 120;
const MARKS = { ok: "✓", failed: "✗", expired: "!", "not asked": "–", "not made": "–" };

/** Elections of these events, newest first; failures in a row are one entry. */
function entries(events, checks) {
  const found = [];
  for (const event of events) {
    const last = found.at(-1);
    if (event.event === "elected") {
      found.push({ kind: "elected", ...event });
    } else if (event.event === "call_failed" && last?.kind === "failed") {
      Object.assign(last, { times: last.times + event.times, at_ms: event.at_ms, why: event.why, term: event.term });
    } else if (event.event === "call_failed") {
      found.push({ kind: "failed", ...event });
    }
  }
  const newest = checks?.certificate;
  if (newest && !found.some((entry) => entry.kind === "elected" && entry.term >= newest.term)) {
    const { term, leader, coordinator, reason, signers } = newest;
    const assurance = checks.assurance;
    found.push({ kind: "elected", term, leader, coordinator, reason, signers: signers.length, assurance, at_ms: null });
  }
  return found.reverse().slice(0, SHOWN);
}

/** Shows the time line; entries that are shown already stay, with whatever is opened in them. */
export function listElections(node, checks) {
  const list = at("elections");
  const kept = new Map([...list.children].map((item) => [item.dataset.entry, item]));
  const shown = entries(node.events, checks).map((entry) => {
    const id = entry.kind === "elected" ? `term ${entry.term} ${entry.leader.key}` : `failed ${entry.first}`;
    const item = kept.get(id) ?? element("li", { "data-entry": id });
    const text = JSON.stringify([entry.times, entry.why, entry.at_ms]);
    const isOpen = item.querySelector("details")?.open ?? false;
    renew(item, text, () => (entry.kind === "elected" ? elected(node, entry, isOpen) : failed(entry)));
    item.className = entry.kind;
    return item;
  });
  const empty = () => [element("li", { class: "quiet" }, "None since this node was started.")];
  const wanted = shown.length ? shown : list.dataset.empty ? [...list.children] : empty();
  list.toggleAttribute("data-empty", shown.length === 0);
  const same = wanted.length === list.children.length && wanted.every((item, index) => item === list.children[index]);
  if (!same) list.replaceChildren(...wanted);
}

/** An election; open, if it was before its event came and told more of it than its certificate. */
function elected(node, entry, isOpen) {
  const { term, leader, coordinator, occasion, reason, signers, assurance } = entry;
  const worth = lessThanAttested(assurance);
  const summary = element(
    "summary",
    {},
    element("span", { class: "term" }, `term ${term}`),
    element("strong", {}, leader.name),
    worth ? element("span", { class: "badge less" }, worth) : element("span", { class: "badge" }, assurance ?? "unverified"),
    element("span", { class: "reason" }, `${occasion ? `${occasion.text} – ` : ""}${reason}; called by ${coordinator.name}; ${count(signers, "vote")}`),
  );
  const body = element("div", { class: "checks" }, element("p", { class: "quiet" }, "Verifying."));
  const details = element("details", {}, summary, body);
  details.addEventListener("toggle", () => details.open && showChecks(node, term, body));
  details.open = isOpen;
  return [entry.at_ms === null ? element("span", { class: "when" }, "before") : when(entry), details];
}

function failed(entry) {
  const times = entry.times > 1 ? `${entry.times} calls failed; the last: ` : entry.term ? `term ${entry.term} failed: ` : "no election: ";
  return [when(entry), element("p", {}, times + entry.why)];
}

const when = (entry) => element("span", { class: "when" }, clock(entry.at_ms));

async function showChecks(node, term, body) {
  try {
    body.replaceChildren(...report(await node.json(`/v1/checks?term=${term}`, 10_000)));
  } catch (error) {
    body.replaceChildren(element("p", { class: "fault" }, `No checks: ${error.message}.`));
  }
}

/** `27 of 31 checks passed`, with what else there was. */
export function tally(checks) {
  const by = (status) => checks.checks.filter((check) => check.status === status).length;
  const rest = ["failed", "expired", "not asked", "not made"].filter(by).map((status) => `${by(status)} ${status}`);
  return `${by("ok")} of ${checks.checks.length} checks passed${rest.length ? `, ${rest.join(", ")}` : ""}`;
}

/** The verdict in words. */
export function verdict(checks) {
  const worth = lessThanAttested(checks.assurance);
  if (checks.verdict === "invalid") return "INVALID";
  return worth ? `valid, ${worth}` : "valid, attested";
}

function report(checks) {
  const { certificate } = checks;
  const names = (nodes) => nodes.map((node) => node.name).join(", ");
  const fact = (name, text) => [element("dt", {}, name), element("dd", {}, text)];
  const good = checks.verdict !== "invalid";
  return [
    element(
      "p",
      { class: "verdict" },
      element("strong", { class: good ? "good" : "fault" }, verdict(checks)),
      ` – ${tally(checks)}`,
    ),
    element(
      "dl",
      { class: "facts" },
      ...fact("Votes counted", names(certificate.signers)),
      ...fact("Candidates", names(certificate.candidates)),
      ...fact("Seen alive", names(certificate.active)),
      ...fact("Not counted", count(certificate.skipped, "view")),
      ...fact("Before it", certificate.previous === null ? "nothing" : `term ${certificate.previous}`),
    ),
    digits("certificate", certificate.digest),
    digits("enclave", certificate.enclave),
    element("ol", { class: "steps" }, ...checks.checks.map(step)),
  ];
}

function step({ number, title, status, found }) {
  return element(
    "li",
    { "data-status": status },
    element("span", { class: "step-number" }, number),
    element("span", { class: "step-mark", "aria-hidden": "true" }, MARKS[status] ?? "?"),
    element(
      "span",
      { class: "step-text" },
      title,
      status === "ok" ? element("span", { class: "unseen" }, ": ok") : element("span", { class: "step-status" }, ` – ${status}`),
      found ? element("span", { class: "found" }, found) : "",
    ),
  );
}

/** The newest events first. */
export function listEvents(node) {
  const newest = node.events.slice(-EVENTS_SHOWN).reverse();
  const key = newest.length ? `${newest[0].at_ms} ${newest[0].seq} ${newest.length}` : "none";
  renew(at("events"), key, () => newest.length ? newest.map(eventItem) : [element("li", { class: "quiet" }, "None yet.")]);
}

const eventItem = (event) =>
  element("li", { "data-event": event.event }, when(event), element("span", { class: "event-text" }, event.text, event.times > 1 ? ` (${event.times} times)` : ""));
